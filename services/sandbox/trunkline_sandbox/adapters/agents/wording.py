"""Text of an agent made fit to be shown and stored: bounded, valid, and on one line where a line is wanted."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from posixpath import join, normpath

TEXT_LIMIT = 16 << 10
"""Bytes of UTF-8 that one output keeps of its text."""
DISPLAY_LIMIT = 200
"""Characters of the one line for people."""

_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, cursor moves
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles, links
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # strings for the terminal
    r"|\x1b[ -/]*[0-~]?"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_LOOK_AT = 20 * DISPLAY_LIMIT

_PATHS = ("file_path", "notebook_path", "path")
_TOLD_BY = (*_PATHS[:2], "command", "pattern", "path", "url", "query", "skill", "description", "prompt")

_RULED_BY = ("command", "file_path", "notebook_path")


def decode(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def valid(text: str) -> str:
    """`text` without halves of surrogate pairs, which JSON can spell and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")


def clip(text: str, limit: int = TEXT_LIMIT) -> str:
    """At most `limit` bytes of UTF-8, with an ellipsis where something was cut off."""
    raw = text[: limit + 1].encode("utf-8", "replace")
    if len(raw) <= limit:
        return raw.decode("utf-8")
    return raw[: limit - 3].decode("utf-8", "ignore") + "…"


def one_line(text: str, limit: int = DISPLAY_LIMIT) -> str:
    """`text` for people: no terminal escapes, no control characters, one line, at most `limit` characters."""
    plain = _CONTROLS.sub("", _ESCAPES.sub("", valid(text[:_LOOK_AT])))
    line = " ".join(plain.split())
    cut = len(line) > limit or (len(text) > _LOOK_AT and bool(line))
    return line[: limit - 1] + "…" if cut else line


def argument(input: Mapping[str, object], workspace: str) -> str:
    """What a tool call is about, in one line: its file, command or pattern; paths are relative to `workspace`."""
    for name in _TOLD_BY:
        told = input.get(name)
        if isinstance(told, str) and told:
            return one_line(_relative(told, workspace) if name in _PATHS else told)
    return ""


def telling(input: Mapping[str, object], workspace: str) -> str:
    """What rules look at in a call: the whole command, the path that is meant, else the whole input as canonical JSON.

    A path is made plain (no `..`, no `//`) and relative to `workspace` where it lies in it. It is never shortened: what is cut off
    could not be ruled on.
    """
    named = [name for name in _RULED_BY if name in input]
    told = input[named[0]] if len(named) == 1 else None
    if not isinstance(told, str):
        return json.dumps(input, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return told if named == ["command"] else _relative(normpath(join(workspace, told)), workspace)


def _relative(path: str, workspace: str) -> str:
    return path.removeprefix(workspace.rstrip("/") + "/") or path
