"""The journal of what a program is told: a file beside its spool, entries in order and each once, and the wish that all stand still."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator

from trunkline.contracts.errors import Conflict, Exhausted, Invalid
from trunkline_sandbox.adapters.providers.local import spool
from trunkline_sandbox.adapters.providers.local.handed import Handed
from trunkline_sandbox.adapters.providers.local.places import Run
from trunkline_sandbox.model import Entry

HEAD = struct.Struct("<QQQQ")
"""Bytes that are told, whether all shall stand still (both ours); since when they do, how long they did before (both the runner's)."""
FRAME = struct.Struct("<cxxxII")
"""Kind, length of the id, length of the data; then both."""
DATA, CLOSE = b"D", b"C"
LONGEST_ID = 256
ROOM = 64 << 20
"""Bytes that one journal may hold."""


def make(run: Run, entries_follow: bool) -> None:
    """Lay out the journal and its bell, unless they are there; without entries to follow it is closed from the start."""
    if not run.bell.exists():
        os.mkfifo(run.bell, 0o600)
    if run.journal.exists():
        return
    closing = b"" if entries_follow else FRAME.pack(CLOSE, 0, 0)
    new = run.journal.with_name(".journal")
    new.write_bytes(HEAD.pack(HEAD.size + len(closing), 0, 0, 0) + closing)
    os.rename(new, run.journal)  # whoever tells something finds it whole or not at all


def tell(fd: int, run: Run, entry: Entry) -> None:
    """Journal the entry, unless it is there; the caller holds the lock. Raises Conflict, Exhausted, Invalid.

    What a teller leaves half-written is not counted as told, so the next one writes over it and the program never reads it.
    """
    if not 0 < len(entry.id.encode()) <= LONGEST_ID:
        raise Invalid(f"An entry's id has 1 to {LONGEST_ID} bytes.", code="BAD_ENTRY")
    kinds = dict(_entries(fd))
    if entry.id not in kinds:
        _admit(run, kinds)
        _append(fd, entry)
    ring(run)


def _admit(run: Run, kinds: dict[str, bytes]) -> None:
    if CLOSE in kinds.values():
        raise Conflict("This program's stdin is closed, nothing can be told to it any more.", code="STDIN_CLOSED")
    if not ring(run) and began(run):
        raise Conflict("The program has ended; nobody reads its stdin.", code="PROGRAM_ENDED")


def _append(fd: int, entry: Entry) -> None:
    name, at = entry.id.encode(), told_until(fd)
    frame = FRAME.pack(CLOSE if entry.close else DATA, len(name), len(entry.data)) + name + entry.data
    if at + len(frame) > ROOM:
        raise Exhausted(f"More than {ROOM >> 20} MiB cannot be told to one program.", code="TOLD_TOO_MUCH")
    write(fd, frame, at)
    write(fd, (at + len(frame)).to_bytes(8, "little"), 0)


def told(fd: int) -> frozenset[str]:
    """Ids of all entries."""
    return frozenset(name for name, _ in _entries(fd) if name)


def _entries(fd: int) -> Iterator[tuple[str, bytes]]:
    """Id and kind of each entry, in order."""
    at, end = HEAD.size, told_until(fd)
    while at < end:
        frame = os.pread(fd, FRAME.size + LONGEST_ID, at)
        kind, name, data = FRAME.unpack_from(frame)
        yield frame[FRAME.size : FRAME.size + name].decode(), kind
        at += FRAME.size + name + data


def told_until(fd: int) -> int:
    """Bytes that count."""
    return int.from_bytes(os.pread(fd, 8, 0), "little")


def ring(run: Run) -> bool:
    """Wake the runner; False when there is none."""
    try:
        fd = os.open(run.bell, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT):
            return False
        raise
    try:
        os.write(fd, b"\0")
    except BlockingIOError:  # it has more rings to hear than it needs
        return True
    except BrokenPipeError:
        return False
    finally:
        os.close(fd)
    return True


def began(run: Run) -> bool:
    """Whether the program was started at all; before that there is nobody to hear the bell, and yet it will read."""
    with Handed() as handed:
        return spool.began(handed.open(run.spool, os.O_RDONLY)) is not None


def write(fd: int, data: bytes, at: int) -> None:
    """All of it."""
    left = memoryview(data)
    while left:
        written = os.pwrite(fd, left, at)
        left, at = left[written:], at + written
