"""The book on disk, outside the log: 16 bytes for each record, and signed checkpoints. It only ever grows."""

from __future__ import annotations

import mmap
import os
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from trunkline.audit import checkpoints
from trunkline.audit.checkpoints import NONE, Checkpoint, name_of
from trunkline.audit.copies import Copy
from trunkline.audit.stretches import LINK, Stretch
from trunkline.auth.audit_keys import AuditKey, Witness, witness_in
from trunkline.contracts.errors import Broken, Invalid, NotFound

LINKS: Final = "links"
CHECKPOINTS: Final = "checkpoints.jsonl"
WITNESS: Final = "key.pub"
SEAL: Final = 1000
"""The most records under one checkpoint: so many links a crash may leave behind the last one."""
_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
SLACK: Final = timedelta(hours=1)
"""Clocks differ, and nothing is taken away on the second."""
_TAIL: Final = 64 << 20
"""More than any checkpoint takes."""


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
        self.links += seq.to_bytes(8, "big") + digest[: LINK - 8]
        self.first, self.seq = self.first or seq, seq


@dataclass(slots=True)
class Pages:
    """A book as it is read, up to the last line that was finished then. Its checkpoints are read again by whoever wants them."""

    folder: Path
    first: Checkpoint | None = None
    last: Checkpoint | None = None
    last_line: str = NONE
    """By which the next checkpoint names the last one."""
    count: int = 0
    heads: dict[str, bytes] = field(default_factory=dict)
    """The newest of each tenant."""
    let_go: datetime | None = None
    """What was stored before this moment was given up by rules of then."""

    @property
    def seq(self) -> int:
        return self.last.seq if self.last else 0

    @property
    def sealed(self) -> int:
        """How many links there are that a checkpoint covers."""
        return self.last.links if self.last else 0

    def add(self, checkpoint: Checkpoint, line: bytes) -> None:
        """One more. Raises Broken (BOOK_DAMAGED) where it is not the next."""
        if checkpoint.previous != self.last_line:
            raise Broken("it does not follow the one before it: lines were taken away, changed or turned round", code="BOOK_DAMAGED")
        self.first, self.last, self.last_line = self.first or checkpoint, checkpoint, name_of(line)
        self.count += 1
        self.heads |= {tenant: bytes.fromhex(head) for tenant, head in checkpoint.heads.items()}
        if checkpoint.kept_s:
            gone = checkpoint.at - timedelta(seconds=checkpoint.kept_s)
            self.let_go = max(self.let_go or gone, gone)

    def kept_since(self, now: datetime, kept: timedelta) -> datetime:
        """Since when everything is still to be there, as the log is kept now (0: for ever) and as it was kept before."""
        since = now - kept if kept else _EVER
        return max(since, self.let_go or since) + SLACK

    def checkpoints(self) -> Iterator[Checkpoint]:
        for line in islice(_lines(self.folder), self.count):
            yield checkpoints.read(line)

    def stretches(self) -> Iterator[Stretch]:
        """What each checkpoint covers, in order."""
        if not self.sealed:
            return
        start = begin = 0
        with open(self.folder / LINKS, "rb") as file, closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as whole:
            for checkpoint in self.checkpoints():
                end = checkpoint.links * LINK
                yield Stretch(checkpoint, begin or checkpoint.first, whole[start:end])
                start, begin = end, checkpoint.seq + 1


def read(folder: Path, witness: Witness | None = None) -> Pages:
    """The book in `folder`, checked against `witness`, else against the key that lies beside it.

    Raises NotFound (NO_BOOK), Broken (BOOK_DAMAGED), Invalid, OSError.
    """
    before = _linked(folder)  # it may grow while it is read
    pages = read_heads(folder, witness)
    if (there := _linked(folder)) < pages.sealed:
        raise Broken(f"{folder / LINKS} holds {there} of {pages.sealed} links", code="BOOK_DAMAGED")
    if (more := before - pages.sealed) > SEAL:
        said = (
            f"{folder / LINKS} holds {more} links that no checkpoint covers, and a crash leaves {SEAL} at most: checkpoints were taken away"
        )
        raise Broken(said, code="BOOK_DAMAGED")
    return pages


def _linked(folder: Path) -> int:
    return (folder / LINKS).stat().st_size // LINK if (folder / LINKS).exists() else 0


def read_heads(folder: Path, witness: Witness | None = None) -> Pages:
    """As `read`, where its links may not be at hand."""
    if not (folder / CHECKPOINTS).exists():
        raise NotFound(f"there is no book in {folder}", code="NO_BOOK")
    witness = witness or witness_in(folder / WITNESS)
    pages, line = Pages(folder), b""
    try:
        for line in _lines(folder):
            pages.add(checkpoints.read(line), line)
        if line:  # each names the one before by its hash: the signature of the last stands for all
            checkpoints.prove(line, witness)
    except Broken as error:
        raise _first_bad(folder, witness) or _at(folder, pages.count + 1, error) from None
    return pages


def _first_bad(folder: Path, witness: Witness) -> Broken | None:
    for number, line in enumerate(_lines(folder), 1):
        try:
            checkpoints.read(line)
            checkpoints.prove(line, witness)
        except Broken as error:
            return _at(folder, number, error)
    return None


def _at(folder: Path, number: int, error: Broken) -> Broken:
    return Broken(f"line {number} of {folder / CHECKPOINTS}: {error.message}", code=error.code)


def _lines(folder: Path) -> Iterator[bytes]:
    """Without their ends; what follows the last line feed was never finished, unless there is more of it than a line."""
    with open(folder / CHECKPOINTS, "rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line[:-1]
            elif checkpoints.overlong(line):
                yield line


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


def fit(folder: Path) -> None:
    """Take away the links beyond the last checkpoint: of a book that was cut to where the log of its backup ends. Raises OSError."""
    links, last = folder / LINKS, deque(_lines(folder), maxlen=1)
    with suppress(Broken):  # damage is kept as it is: it is evidence
        end = checkpoints.read(last[0]).links * LINK if last else 0
        if links.exists() and links.stat().st_size > end:
            os.truncate(links, end)


@dataclass(frozen=True, slots=True)
class Imprint:
    """What a book says of itself: whose it is, and for how long its log keeps records."""

    relay: str = ""
    kept: timedelta = timedelta(0)


NOBODYS: Final = Imprint()


class Book:
    """The book as it is written, by one process at a time."""

    def __init__(self, pages: Pages, key: AuditKey, copy: Copy | None, imprint: Imprint) -> None:
        self.pages = pages
        """What it held when it was opened."""
        self.emptied = False
        """Whether it was there before, and held nothing: it was emptied, or nobody ever signed in it."""
        self._folder = pages.folder
        self._key = key
        self._copy = copy
        self._imprint = imprint
        self._end = (pages.folder / CHECKPOINTS).stat().st_size
        self._last_line = pages.last_line
        self._sealed = pages.sealed
        self._first = pages.first.first if pages.first else 0
        self.seq = pages.seq
        self.heads: Mapping[str, bytes] = pages.heads

    @property
    def copy_problem(self) -> str:
        """Why the copy lacks what the book has; empty: it does not."""
        return self._copy.problem if self._copy else ""

    def lost(self) -> list[Checkpoint]:
        """Those that the copy has and this book lacks."""
        return self._copy.beyond() if self._copy else []

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
            relay=self._imprint.relay,
            kept_s=self._imprint.kept.total_seconds(),
        )
        line = checkpoints.signed(checkpoint, self._key)
        _put(self._folder / LINKS, bytes(chained.links), self._sealed * LINK)
        _put(self._folder / CHECKPOINTS, line + b"\n", self._end)
        self._end += len(line) + 1
        self._last_line, self._sealed = name_of(line), checkpoint.links
        self._first, self.seq = checkpoint.first, checkpoint.seq
        self.heads = {**self.heads, **chained.heads}
        if self._copy:
            self._copy.follow()


def open_book(folder: Path, key: AuditKey, copy: Path | None = None, imprint: Imprint = NOBODYS) -> Book:
    """The book in `folder`, begun when there is none; `copy` is a file elsewhere that gets each checkpoint too.

    Raises Broken (BOOK_DAMAGED), Invalid, OSError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    known = (folder / WITNESS).exists()
    _begin(folder, key)
    _cut(folder / CHECKPOINTS)
    pages = read(folder, key.witness)
    book = Book(pages, key, Copy(copy, folder / CHECKPOINTS, imprint.relay) if copy else None, imprint)
    book.emptied = known and not pages.count
    return book


def _begin(folder: Path, key: AuditKey) -> None:
    """What is not there yet; what is there must be a book by this key. Raises Broken (BOOK_DAMAGED), OSError."""
    links, lines, beside = folder / LINKS, folder / CHECKPOINTS, folder / WITNESS
    if not lines.exists() and links.exists() and links.stat().st_size:
        raise Broken(f"{lines} was taken away: its links are still there", code="BOOK_DAMAGED")
    for file in (links, lines):
        file.touch(0o600)
    if not beside.exists():
        beside.write_bytes(key.witness.pem())
    try:
        other = witness_in(beside).name
    except Invalid as error:
        raise Broken(error.message, code="BOOK_DAMAGED") from None
    if other != key.name:
        raise Broken(f"the book in {folder} was kept with the key {other}, and the key is {key.name} now", code="BOOK_DAMAGED")


def _cut(file: Path) -> None:
    """What follows the last line feed was never finished."""
    size = file.stat().st_size
    with file.open("rb") as lines:
        lines.seek(max(size - _TAIL, 0))
        tail = lines.read()
    end = tail.rfind(b"\n") + 1
    if tail[end:] and not checkpoints.overlong(tail[end:]):
        os.truncate(file, size - len(tail) + end)


def _put(file: Path, text: bytes, start: int) -> None:
    """Write at `start`, and leave nothing behind it: what a try before this one wrote is gone."""
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), "wb", buffering=0) as out:
        out.truncate(start)
        out.seek(start)
        left = memoryview(text)
        while left:
            left = left[out.write(left) :]
        os.fsync(out.fileno())
