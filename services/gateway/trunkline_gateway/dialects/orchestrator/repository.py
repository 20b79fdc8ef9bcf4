"""Tells what can be the name of a repository or of a branch from what cannot."""

from __future__ import annotations

import re
from typing import Final

from pydantic import JsonValue

from trunkline_gateway.dialects.orchestrator import reading

_REPO: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}/[A-Za-z0-9_.][A-Za-z0-9_.-]{0,99}")
_BRANCH: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}(?:/[A-Za-z0-9_+-][A-Za-z0-9_.+-]{0,99}){0,4}")


def named(value: JsonValue) -> str:
    """`owner/name` as forges take it, or no text: a label such as `morningai` is no address."""
    if not isinstance(value, str) or not _REPO.fullmatch(value):
        return ""
    broken = ".." in value or value.endswith((".git", ".lock", "."))
    return "" if broken else value


def branch(value: JsonValue) -> str:
    """The base branch; `main` where none is named. Raises Invalid for what git would not take as one."""
    if value is None:
        return "main"
    if not isinstance(value, str) or not _BRANCH.fullmatch(value) or _odd(value):
        raise reading.wrong("metadata.branch", "must be a name that git takes for a branch")
    return value


def _odd(value: str) -> bool:
    return ".." in value or value in ("HEAD", "@") or any(part.endswith((".lock", ".")) for part in value.split("/"))
