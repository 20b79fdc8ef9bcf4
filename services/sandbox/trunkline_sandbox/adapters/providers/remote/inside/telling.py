"""The journal of what a program is told, and the bell that wakes its runner; part of the porter."""

from __future__ import annotations

import errno
import os
import struct
import time
from collections.abc import Iterator

from trunkline_sandbox.adapters.providers.remote.inside.runs import Refusal, Run, locked, opened

TOP = struct.Struct("<QQQQ")
"""Bytes that are told, whether all shall stand still (both ours); since when they do, how long they did (both the runner's)."""
TOLD = struct.Struct("<cxxxII")
"""Kind, length of the id, length of the data; then both."""
CLOSE = b"C"
ROOM = 64 << 20
WISHED = 8
STILL = 5.0


def lay_journal(run: Run, entries_follow: bool) -> None:
    """Without entries to follow it is closed from the start."""
    if not os.path.exists(run.bell):
        os.mkfifo(run.bell, 0o600)
    if os.path.exists(run.journal):
        return
    closing = b"" if entries_follow else TOLD.pack(CLOSE, 0, 0)
    with open(run.journal + ".new", "wb") as file:
        file.write(TOP.pack(TOP.size + len(closing), 0, 0, 0) + closing)
    os.rename(run.journal + ".new", run.journal)


def tell(run: Run, frame: bytes) -> None:
    """Journal one entry, unless it is there. What is left half-written is not counted as told."""
    _, length, _ = TOLD.unpack(frame[: TOLD.size])
    name = frame[TOLD.size : TOLD.size + length]
    with locked(run.telling), opened(run.journal, os.O_RDWR) as fd:
        known = dict(entries(fd))
        if name not in known:
            admit(run, known)
            append(fd, frame)
        ring(run)


def admit(run: Run, known: dict[bytes, bytes]) -> None:
    if CLOSE in known.values():
        raise Refusal("STDIN_CLOSED", "this program's stdin is closed, nothing can be told to it any more")
    if not ring(run) and run.pid():
        raise Refusal("PROGRAM_ENDED", "the program has ended; nobody reads its stdin")


def append(fd: int, frame: bytes) -> None:
    at = told_until(fd)
    if at + len(frame) > ROOM:
        raise Refusal("TOLD_TOO_MUCH", f"more than {ROOM >> 20} MiB cannot be told to one program")
    write_at(fd, frame, at)
    write_at(fd, (at + len(frame)).to_bytes(8, "little"), 0)


def write_at(fd: int, data: bytes, at: int) -> None:
    left = memoryview(data)
    while left:
        written = os.pwrite(fd, left, at)
        left, at = left[written:], at + written


def told_until(fd: int) -> int:
    return int.from_bytes(os.pread(fd, 8, 0), "little")


def entries(fd: int) -> Iterator[tuple[bytes, bytes]]:
    """Id and kind of each entry, in order."""
    at, end = TOP.size, told_until(fd)
    while at < end:
        kind, name, data = TOLD.unpack(os.pread(fd, TOLD.size, at))
        yield os.pread(fd, name, at + TOLD.size), kind
        at += TOLD.size + name + data


def ring(run: Run) -> bool:
    """Wake the runner; False when there is none."""
    try:
        with opened(run.bell, os.O_WRONLY | os.O_NONBLOCK) as fd:
            os.write(fd, b"\0")
    except BlockingIOError:  # it has more rings to hear than it needs
        return True
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT, errno.EPIPE):
            return False
        raise
    return True


def hold(run: Run, still: bool) -> None:
    """Return when the program stands still, or goes on; or ended, or somebody else wished otherwise meanwhile."""
    with opened(run.journal, os.O_RDWR) as fd:
        write_at(fd, int(still).to_bytes(8, "little"), WISHED)
        ring(run)
        end = time.monotonic() + STILL
        while run.runs():
            _, wish, since, _ = TOP.unpack(os.pread(fd, TOP.size, 0))
            if bool(wish) != still or bool(since) == still:
                return
            if time.monotonic() > end:
                raise Refusal("SANDBOX_BUSY", "the sandbox neither stands still nor goes on as it was told to; stop it")
            time.sleep(0.002)
