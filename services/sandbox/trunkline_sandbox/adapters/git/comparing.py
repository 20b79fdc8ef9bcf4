"""What lies between two commits: files by kind, and the lines that were added, whatever an agent called or wrote them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from trunkline.contracts.errors import Invalid
from trunkline_sandbox.adapters.git.environment import environment
from trunkline_sandbox.adapters.git.program import Answer, Call, run
from trunkline_sandbox.adapters.git.refusals import refusal
from trunkline_sandbox.adapters.git.remotes import Bounds
from trunkline_sandbox.adapters.git.trees import known
from trunkline_sandbox.ports import AddedLine, Change

LISTED = 32 << 20
"""Bytes of a list of changed files."""
READ = 64 << 20
"""Bytes of a patch that are read; what was deleted counts too."""
SHOWN = 8 << 20
"""Bytes of added lines."""
_OPTIONS = ("-r", "-M", "--no-ext-diff", "--no-textconv", "--submodule=short", "--no-color")
_KINDS = {"A": "added", "D": "deleted", "R": "renamed", "T": "type"}
_HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_ESCAPED = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


async def changes(bare: Path, base: str, commit: str, bounds: Bounds) -> tuple[Change, ...]:
    """See ports.Git."""
    answer = await _diff(bare, base, commit, ("--raw", "--numstat", "-z"), Bounds(None, LISTED, bounds.seconds))
    if answer.cut:
        raise Invalid("More files were changed than anybody can look at; the work has to be cut in parts.", code="TOO_MANY_CHANGES")
    fields = answer.out.split(b"\0")
    return tuple(_changes(iter(fields[:-1])))


async def added_lines(bare: Path, base: str, commit: str, bounds: Bounds) -> AsyncIterator[AddedLine]:
    """See ports.Git. A last line with the number 0 says that there is more than was looked at."""
    # Prefixes, because a file's name may itself look like "no file" or hold spaces.
    # As text, because one NUL would hide a file; what is really none costs its size.
    options = ("--patch", "--text", "--unified=0", "--irreversible-delete", "--src-prefix=a/", "--dst-prefix=b/")
    answer = await _diff(bare, base, commit, options, Bounds(None, READ, bounds.seconds))
    left, path = SHOWN, ""
    for path, number, text in _added(answer.out):
        left -= len(text)
        if left < 0:
            break
        yield AddedLine(path, number, text.decode("utf-8", "replace"))
    if left < 0 or answer.cut:
        yield AddedLine(path, 0, "")


async def _diff(bare: Path, base: str, commit: str, options: tuple[str, ...], bounds: Bounds) -> Answer:
    argv = ("git", "diff-tree", *_OPTIONS, *options, known(base), known(commit), "--")
    answer = await run(Call(argv, {**environment(), "GIT_DIR": str(bare)}, keep=bounds.size, seconds=bounds.seconds))
    if answer.code and not answer.cut:
        raise refusal(answer, "compare the commits")
    return answer


def _changes(fields: Iterator[bytes]) -> Iterator[Change]:
    """Of the rows of `--raw`, which come first, and those of `--numstat`, which say the same files in the same order."""
    kinds: dict[bytes, str] = {}
    for field in fields:
        if field.startswith(b":"):
            kinds |= _raw(field.decode().split(), fields)
            continue
        added, deleted, name = field.split(b"\t", 2)
        if not name:
            old, name = next(fields), next(fields)
            yield Change(_name(old), "renamed", 0, 0, added == b"-")
        yield Change(_name(name), kinds[name], _count(added), _count(deleted), added == b"-")


def _raw(row: list[str], fields: Iterator[bytes]) -> dict[bytes, str]:
    """Kind by name; `row` is both modes, both objects and a letter."""
    before, after, _, _, letter = row
    name = next(fields)
    if letter[0] == "R":
        name = next(fields)
    plain = "modified" if before.lstrip(":") == after else "type"
    return {name: _KINDS.get(letter[0], plain)}


def _count(field: bytes) -> int:
    return 0 if field == b"-" else int(field)


def _added(patch: bytes) -> Iterator[tuple[str, int, bytes]]:
    """Path, number and text. Lines of a hunk are counted, so that no text of a file passes for a line of the patch."""
    path, number, old, new = "", 0, 0, 0
    for line in _lines(patch):
        if old and line.startswith(b"-"):
            old -= 1
        elif new and line.startswith(b"+"):
            yield path, number, line[1:]
            number, new = number + 1, new - 1
        elif line.startswith(b"+++ "):
            path = _path(line[4:])
        elif hunk := _HUNK.match(line):
            old, number, new = int(hunk[1] or 1), int(hunk[2]), int(hunk[3] or 1)


def _lines(text: bytes) -> Iterator[bytes]:
    """One after the other: a list of them all would be many times the text."""
    start = 0
    while (end := text.find(b"\n", start)) >= 0:
        yield text[start:end]
        start = end + 1
    if start < len(text):
        yield text[start:]


def _path(said: bytes) -> str:
    """Of what stands behind `+++`: quoted as in C when it holds strange characters, with a tab behind it when it holds a space."""
    said = said.removesuffix(b"\t")
    if said.startswith(b'"'):
        said = _ESCAPE.sub(_unescaped, said[1:-1])
    return _name(said.removeprefix(b"b/"))


def _unescaped(match: re.Match[bytes]) -> bytes:
    said = match[1]
    return bytes([int(said, 8)]) if len(said) == 3 else _ESCAPED.get(said, said)


def _name(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
