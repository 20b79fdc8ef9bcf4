"""The book on disk, outside the log: 16 bytes for each record, and signed checkpoints. It only ever grows."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from struct import iter_unpack
from typing import Final

from pydantic import ValidationError

from trunkline.audit import checkpoints
from trunkline.audit.chain import SHORT
from trunkline.audit.checkpoints import NONE, Checkpoint
from trunkline.auth.audit_keys import AuditKey, Witness, witness_in
from trunkline.contracts.errors import Broken, NotFound

LINKS: Final = "links"
CHECKPOINTS: Final = "checkpoints.jsonl"
WITNESS: Final = "key.pub"
LINK: Final = 8 + SHORT
_AT_ONCE: Final = LINK << 16


@dataclass(slots=True)
class Chained:
    """What was chained since the last checkpoint."""

    links: bytearray = field(default_factory=bytearray)
    heads: dict[str, bytes] = field(default_factory=dict)
    first: int = 0
    seq: int = 0

    def __len__(self) -> int:
        return len(self.links) // LINK

    def add(self, seq: int, digest: bytes) -> None:
        self.links += seq.to_bytes(8, "big") + digest[:SHORT]
        self.first, self.seq = self.first or seq, seq


@dataclass(frozen=True, slots=True)
class Pages:
    """A book as it is read."""

    folder: Path
    checkpoints: tuple[Checkpoint, ...]
    last_line: str
    """By which the next checkpoint names the last one."""

    @property
    def seq(self) -> int:
        return self.checkpoints[-1].seq if self.checkpoints else 0

    @property
    def sealed(self) -> int:
        """How many links there are that a checkpoint covers."""
        return self.checkpoints[-1].links if self.checkpoints else 0

    def heads(self) -> dict[str, bytes]:
        """The newest of each tenant."""
        return {tenant: bytes.fromhex(head) for each in self.checkpoints for tenant, head in each.heads.items()}

    def links(self) -> Iterator[tuple[int, bytes]]:
        """Sequence and short digest of each record that a checkpoint covers, in order."""
        end = self.sealed * LINK
        if not end:
            return
        with open(self.folder / LINKS, "rb") as file, closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as whole:
            for start in range(0, end, _AT_ONCE):
                yield from iter_unpack(f">Q{SHORT}s", whole[start : min(start + _AT_ONCE, end)])


def read(folder: Path, witness: Witness | None = None) -> Pages:
    """The book in `folder`, each line of it checked against `witness`, else against the key that lies beside it.

    Raises NotFound (NO_BOOK), Broken (BOOK_DAMAGED), Invalid, OSError.
    """
    if not (folder / CHECKPOINTS).exists():
        raise NotFound(f"there is no book in {folder}", code="NO_BOOK")
    witness = witness or witness_in(folder / WITNESS)
    *lines, _ = (folder / CHECKPOINTS).read_bytes().split(b"\n")  # what follows the last line feed was never finished
    found: list[Checkpoint] = []
    previous = NONE
    for number, line in enumerate(lines, 1):
        try:
            found.append(checkpoints.read(line, previous, witness))
        except Broken as error:
            raise Broken(f"line {number} of {folder / CHECKPOINTS}: {error.message}", code=error.code) from None
        previous = checkpoints.name_of(line)
    pages = Pages(folder, tuple(found), previous)
    there = (folder / LINKS).stat().st_size // LINK
    if there < pages.sealed:
        raise Broken(f"{folder / LINKS} holds {there} of {pages.sealed} links", code="BOOK_DAMAGED")
    return pages


def up_to(folder: Path, seq: int) -> int:
    """How many bytes of its checkpoints tell of nothing beyond `seq`. Raises OSError."""
    end = 0
    for line in (folder / CHECKPOINTS).read_bytes().splitlines(keepends=True):
        try:
            if not line.endswith(b"\n") or Checkpoint.model_validate_json(line).seq > seq:
                break
        except ValidationError:  # damage is kept as it is: it is evidence
            pass
        end += len(line)
    return end


class Book:
    """The book as it is written, by one process at a time."""

    def __init__(self, pages: Pages, key: AuditKey, copy: Path | None) -> None:
        self._folder = pages.folder
        self._key = key
        files = (pages.folder / CHECKPOINTS, *((copy,) if copy else ()))
        self._ends = {file: file.stat().st_size for file in files}
        self._last_line = pages.last_line
        self._sealed = pages.sealed
        self._first = pages.checkpoints[0].first if pages.checkpoints else 0
        self.seq = pages.seq
        self.heads: Mapping[str, bytes] = pages.heads()

    def pages(self) -> Pages:
        """All of it as it lies there. Raises Broken (BOOK_DAMAGED), OSError."""
        return read(self._folder, self._key.witness)

    def seal(self, chained: Chained, epoch: str, at: datetime, happened: datetime) -> None:
        """Write what was chained, and a checkpoint over it. Returns when it is on disk. Raises OSError, and may then be called again."""
        checkpoint = Checkpoint(
            epoch=epoch,
            at=at,
            first=self._first or chained.first,
            seq=chained.seq,
            happened=happened,
            links=self._sealed + len(chained),
            heads={tenant: head.hex() for tenant, head in chained.heads.items()},
            previous=self._last_line,
            key=self._key.name,
        )
        line = checkpoints.signed(checkpoint, self._key)
        _put(self._folder / LINKS, bytes(chained.links), self._sealed * LINK)
        for file, end in self._ends.items():
            _put(file, line + b"\n", end)
        self._ends = {file: end + len(line) + 1 for file, end in self._ends.items()}
        self._last_line, self._sealed = checkpoints.name_of(line), checkpoint.links
        self._first, self.seq = checkpoint.first, checkpoint.seq
        self.heads = {**self.heads, **chained.heads}


def open_book(folder: Path, key: AuditKey, copy: Path | None = None) -> Book:
    """The book in `folder`, begun when there is none; `copy` is a file elsewhere that gets each checkpoint too.

    Raises Broken (BOOK_DAMAGED), Invalid, OSError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / LINKS).touch(0o600)
    if not (folder / WITNESS).exists():
        (folder / WITNESS).write_bytes(key.witness.pem())
    for file in (folder / CHECKPOINTS, *((copy,) if copy else ())):
        file.touch(0o600)
        _cut(file)
    return Book(read(folder, key.witness), key, copy)


def _cut(file: Path) -> None:
    """What follows the last line feed was never finished."""
    whole = file.read_bytes()
    os.truncate(file, whole.rfind(b"\n") + 1)


def _put(file: Path, text: bytes, start: int) -> None:
    """Write at `start`, and leave nothing behind it: what a try before this one wrote is gone."""
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), "wb", buffering=0) as out:
        out.truncate(start)
        out.seek(start)
        left = memoryview(text)
        while left:
            left = left[out.write(left) :]
        os.fsync(out.fileno())
