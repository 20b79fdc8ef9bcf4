"""An archive on disk: gone on with where its writing was cut, and packed where its name ends in `.gz`."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Final

from trunkline.bus.archive import LONGEST_LINE, Archived, Heading, Lines, Reading
from trunkline.bus.sealed_file import reported
from trunkline.contracts.errors import Conflict, Invalid

BATCH: Final = 1 << 20
"""Bytes that are packed and written at once: no more of them is lost with a process that dies."""
_READ: Final = 1 << 18
_GZIP: Final = 31
_PACKED: Final = b"\x1f\x8b"


class ArchiveFile:
    """One that is being written, under another name until it is whole."""

    def __init__(self, path: Path, file: IO[bytes], lines: Lines) -> None:
        self._file = file
        self._packed = path.suffix == ".gz"
        self._lines = lines
        self._batch: list[bytes] = []
        self._held = 0

    @property
    def last(self) -> int:
        """The sequence behind which it goes on."""
        return self._lines.last

    @property
    def records(self) -> int:
        return self._lines.records

    def begin(self, heading: Heading) -> None:
        self._put(self._lines.heading(heading))
        self.flush()

    def add(self, record: Archived) -> None:
        self._put(self._lines.record(record))

    def end(self) -> None:
        self._put(self._lines.end())
        self.flush()
        os.fsync(self._file.fileno())

    def flush(self) -> None:
        body = b"".join(self._batch)
        self._file.write(gzip.compress(body, 6, mtime=0) if self._packed else body)
        self._file.flush()
        self._batch, self._held = [], 0

    def _put(self, line: bytes) -> None:
        self._batch.append(line)
        self._held += len(line)
        if self._held >= BATCH:
            self.flush()


@contextmanager
def written(path: Path, heading: Heading) -> Iterator[tuple[ArchiveFile, Heading]]:
    """An archive to be filled; what an earlier try wrote of the same is kept, with its own heading, and goes on behind it.

    Raises Conflict FILE_EXISTS, OTHER_ARCHIVE, Exhausted DISK_FULL, Invalid.
    """
    if path.exists():
        raise Conflict(f"{path} exists already; name another file", code="FILE_EXISTS")
    part = path.with_name(path.name + ".part")
    with reported(path), open(os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b") as file:
        begun, lines, end = _begun(part, path.suffix == ".gz")
        if begun and not _same(begun, heading):
            raise Conflict(f"{part} is the beginning of another archive; remove it, or name another file", code="OTHER_ARCHIVE")
        file.truncate(end)
        file.seek(end)
        archive = ArchiveFile(path, file, lines)
        if not begun:
            archive.begin(heading)
        yield archive, begun or heading
        archive.end()
        part.rename(path)


def _same(begun: Heading, wanted: Heading) -> bool:
    """Whether both look for the same in the same log; it may have grown since."""
    grown = wanted.model_copy(update={"first": begun.first, "last": begun.last})
    return grown == begun


def _begun(part: Path, packed: bool) -> tuple[Heading | None, Lines, int]:
    """What an earlier try left whole: its heading, where its lines stand, and how many bytes that is."""
    reading, heading, whole, end = Reading(), None, Lines(), 0
    with suppress(Invalid):
        for body, size in _members(part) if packed else _whole_lines(part):
            lines = body.splitlines(keepends=True)
            if heading is None and lines:
                heading = reading.heading(lines.pop(0))
            for line in lines:
                reading.record(line)
            if reading.ended:  # only its name was missing; the last line is written again
                break
            whole, end = replace(reading.lines), end + size
    return heading if end else None, whole, end


def _whole_lines(part: Path) -> Iterator[tuple[bytes, int]]:
    with part.open("rb") as file:
        while (line := file.readline(LONGEST_LINE)).endswith(b"\n"):
            yield line, len(line)


def _members(part: Path) -> Iterator[tuple[bytes, int]]:
    """Each packed batch that is whole, unpacked, and its size."""
    with part.open("rb") as file, suppress(EOFError, zlib.error):
        rest = b""
        while True:
            body, size, rest = _member(file, rest)
            yield body, size


def _member(file: IO[bytes], rest: bytes) -> tuple[bytes, int, bytes]:
    """One packed batch, its size, and what was read beyond it. Raises EOFError, zlib.error."""
    unpacking, found, size = zlib.decompressobj(_GZIP), [], 0
    while not unpacking.eof:
        chunk, rest = rest or file.read(_READ), b""
        if not chunk:
            raise EOFError
        found.append(unpacking.decompress(chunk))
        size += len(chunk) - len(unpacking.unused_data)
    return b"".join(found), size, unpacking.unused_data


def opened(path: Path) -> Iterator[Heading | Archived]:
    """The heading and then the records of a whole archive. Raises Invalid."""
    reading = Reading()
    with reported(path):
        lines = _lines(path)
        yield reading.heading(next(lines, b""))
        for line in lines:
            record = reading.record(line)
            if record is not None:
                yield record
        reading.over()


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as raw:
        packed = raw.read(2) == _PACKED
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            while line := file.readline(LONGEST_LINE):
                yield line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Invalid(f"the archive is damaged or cut ({error}). Take another copy of it.", code="ARCHIVE_DAMAGED") from None
