"""A shell command as its words, for commands that a program quoted itself."""

from __future__ import annotations

import re

_PART = re.compile(r"""(\s+)|'([^']*)'|"((?:[^"\\]|\\.)*)"|((?:[^\s'"\\]|\\.)+)""", re.DOTALL)
_ESCAPED_IN_QUOTES = re.compile(r"""\\(["\\$`\n])""")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SHELLS = frozenset(f"{folder}/{name}" for folder in ("/bin", "/usr/bin") for name in ("bash", "sh", "dash", "zsh"))


def words(command: str) -> list[str] | None:
    """The words as a POSIX shell sees them; None when a quote is left open."""
    found: list[str] = []
    current: str | None = None
    at = 0
    while at < len(command):
        part = _PART.match(command, at)
        if part is None:
            return None
        at = part.end()
        if part[1] is not None:
            found += [] if current is None else [current]
            current = None
        else:
            current = (current or "") + _plain(part)
    return found if current is None else [*found, current]


def script(command: str) -> str:
    """What the system's shell is given to run, where that is all that the command does; else the whole command."""
    told = words(command)
    if told and len(told) == 3 and told[0] in _SHELLS and told[1] in ("-c", "-lc"):
        return told[2]
    return command


def _plain(part: re.Match[str]) -> str:
    if part[2] is not None:
        return part[2]
    if part[3] is not None:
        return _ESCAPED_IN_QUOTES.sub(r"\1", part[3])
    return _ESCAPED.sub(r"\1", part[4])
