"""Reads a unified diff, as git prints it, into files and rows that can be shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

Kind = Literal["hunk", "add", "del", "same", "note"]

_FILE: Final = re.compile(r'\Adiff --git (?:"?a/.*?"?) "?b/(?P<path>.*?)"?\Z')
_HUNK: Final = re.compile(r"\A@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_STATES: Final = {
    "new file": "added",
    "deleted file": "deleted",
    "rename from": "renamed",
    "copy from": "copied",
    "Binary files": "binary",
    "GIT binary patch": "binary",
    "old mode": "mode changed",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a diff with its numbers on either side."""

    kind: Kind
    text: str
    old: int | None = None
    new: int | None = None


@dataclass(slots=True)
class FileDiff:
    path: str
    state: str = "changed"
    rows: list[Row] = field(default_factory=list)

    def count(self, kind: Kind) -> int:
        return sum(row.kind == kind for row in self.rows)


@dataclass(slots=True)
class _Place:
    """Where in a hunk the reading stands; the counts left tell a removed `-- x` from a header `--- x`."""

    old: int = 0
    new: int = 0
    old_left: int = 0
    new_left: int = 0


def parse(diff: str) -> list[FileDiff]:
    """Every file of the diff; what cannot be understood is skipped, never guessed."""
    files: list[FileDiff] = []
    place = _Place()
    for line in diff.split("\n"):
        inside = place.old_left > 0 or place.new_left > 0
        if not inside and (found := _FILE.match(line)):
            files.append(FileDiff(found["path"]))
        elif files and (inside or line.startswith(("@@ ", "\\"))):
            files[-1].rows.extend(_rows(line, place))
        elif files and (state := _state(line)):
            files[-1].state = state
    return files


def _state(line: str) -> str | None:
    return next((state for start, state in _STATES.items() if line.startswith(start)), None)


def _rows(line: str, place: _Place) -> Iterator[Row]:
    if found := _HUNK.match(line):
        place.old, place.new = int(found[1]), int(found[3])
        place.old_left, place.new_left = int(found[2] or 1), int(found[4] or 1)
        yield Row("hunk", line)
    elif line.startswith("\\"):
        yield Row("note", line[1:].strip())
    elif line.startswith("+"):
        yield Row("add", line[1:], new=place.new)
        place.new, place.new_left = place.new + 1, place.new_left - 1
    elif line.startswith("-"):
        yield Row("del", line[1:], old=place.old)
        place.old, place.old_left = place.old + 1, place.old_left - 1
    else:
        yield Row("same", line[1:], place.old, place.new)
        place.old, place.old_left = place.old + 1, place.old_left - 1
        place.new, place.new_left = place.new + 1, place.new_left - 1
