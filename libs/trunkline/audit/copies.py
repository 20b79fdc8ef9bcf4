"""A copy of the checkpoints in a file elsewhere: only ever appended to, also by several witnesses, and allowed to lag behind."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from trunkline.audit import checkpoints
from trunkline.audit.checkpoints import Checkpoint
from trunkline.contracts.errors import Broken

TAIL: Final = 4 << 20
"""Of a copy, that is looked at: thousands of checkpoints."""
STEP: Final = 1 << 20


class Copy:
    """What one witness puts there. A copy that cannot be written stops nobody: it gets what it lacks later."""

    def __init__(self, path: Path, source: Path, relay: str) -> None:
        self._path = path
        self._source = source
        self._relay = relay
        self._given: int | None = None
        """Bytes of the source that it has; None: not known yet."""
        self.problem = ""

    def beyond(self) -> list[Checkpoint]:
        """Checkpoints of this witness that stand there, the newest first, back to the first that one of its books knows."""
        found: list[Checkpoint] = []
        try:
            for line, checkpoint in self._newest_first():
                if (given := _place(self._source, line)) is not None:
                    self._given = given
                    return found
                if any(_place(book, line) is not None for book in self._put_away()):
                    break
                found.append(checkpoint)
            self._given = 0
        except OSError as error:
            self.problem = str(error)
        return found

    def follow(self) -> None:
        """Give it what it lacks."""
        if self._given is None:
            self.beyond()
        if self._given is None:
            return
        try:
            while lacking := self._lacking(self._given):
                self._append(lacking)
                self._given += len(lacking)
            self.problem = ""
        except OSError as error:
            self.problem = str(error)

    def _lacking(self, start: int) -> bytes:
        """Whole lines, some at a time."""
        with self._source.open("rb") as file:
            file.seek(start)
            return b"".join(line for line in file.readlines(STEP) if line.endswith(b"\n"))

    def _append(self, lines: bytes) -> None:
        tail = self._tail()
        torn = bool(tail) and not tail.endswith(b"\n")
        with open(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "wb", buffering=0) as out:
            left = memoryview(b"\n" + lines if torn else lines)
            while left:
                left = left[out.write(left) :]
            os.fsync(out.fileno())

    def _tail(self) -> bytes:
        if not self._path.exists():
            return b""
        with self._path.open("rb") as file:
            file.seek(max(self._path.stat().st_size - TAIL, 0))
            return file.read()

    def _newest_first(self) -> Iterator[tuple[bytes, Checkpoint]]:
        for line in reversed(self._tail().split(b"\n")):
            try:
                checkpoint = checkpoints.read(line)
            except Broken:  # torn, or not ours
                continue
            if checkpoint.relay in ("", self._relay):
                yield line, checkpoint

    def _put_away(self) -> list[Path]:
        folder = self._source.parent
        names = (f"{folder.name}/{self._source.name}", checkpoints.ASIDE)
        return [file for name in names for file in folder.parent.glob(f"{checkpoints.ACCEPTED}*/{name}")]


def _place(book: Path, line: bytes) -> int | None:
    """Where in a book the line ends, if it is there."""
    if not book.stat().st_size:
        return None
    with book.open("rb") as file, closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as whole:
        start = whole.rfind(line + b"\n")
        return None if start < 0 else start + len(line) + 1
