"""The starts of one sandbox as they lie on its disk: who runs, who ended and how; part of the porter."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

HEAD = struct.Struct("<cxxxIQQ")
"""A frame of the spool: kind, length of the data, line number, bytes cut."""
BEGAN, OVER = b"S", b"X"
GET_LOCK, SET_LOCK = 36, 37
"""F_OFD_GETLK and F_OFD_SETLK, which old Pythons do not name: a lock of the open file, which the runner inherits."""
PATIENCE = 15.0
CAUSES = ("killed", "wall")


class Refusal(Exception):
    """What cannot be done, with the word by which the other side knows it."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def lock_of(fd: int, command: int) -> int:
    """What the kernel says of the lock of an open file."""
    answer = fcntl.fcntl(fd, command, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    return int(struct.unpack("hhqqi4x", answer)[0])


def take(fd: int) -> bool:
    """Lock it for whoever inherits it; False when another holds it."""
    try:
        lock_of(fd, SET_LOCK)
    except OSError:
        return False
    return True


def held(fd: int) -> bool:
    """Whether somebody else holds it."""
    return lock_of(fd, GET_LOCK) != fcntl.F_UNLCK


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Alone with the lock file `path`. Raises Refusal when another one is for too long."""
    with opened(path, os.O_RDWR | os.O_CREAT) as fd:
        end = time.monotonic() + PATIENCE
        while not take(fd):
            if time.monotonic() > end:
                raise Refusal("SANDBOX_BUSY", "another call holds the sandbox for too long; try again")
            time.sleep(0.005)
        yield


@contextmanager
def opened(path: str, flags: int) -> Iterator[int]:
    """The file, closed again behind the block."""
    fd = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


class Run:
    """The folder of one start."""

    def __init__(self, folder: str) -> None:
        self.name = os.path.basename(folder)
        self.spool, self.journal, self.bell = (os.path.join(folder, name) for name in ("spool", "journal", "bell"))
        self.telling, self.stopping, self.order = (os.path.join(folder, name) for name in ("telling", "stopping", "order"))
        self.log, self.folder = os.path.join(folder, "log"), folder

    def runs(self) -> bool:
        """Whether a runner holds its spool."""
        try:
            with opened(self.spool, os.O_RDWR) as fd:
                return held(fd)
        except FileNotFoundError:
            return False

    def pid(self) -> int:
        """The runner's, as it wrote it down; 0 before it began."""
        try:
            with open(self.spool, "rb") as file:
                head = file.read(HEAD.size)
                return int(file.read(HEAD.unpack(head)[1]).split()[1]) if len(head) == HEAD.size and head[:1] == BEGAN else 0
        except (OSError, ValueError, IndexError):
            return 0

    def ended(self) -> bool:
        """Whether its end is on record."""
        try:
            with opened(self.spool, os.O_RDONLY) as fd:
                return survey(fd)[1]
        except FileNotFoundError:
            return False

    def seal(self) -> None:
        """Write the end of a run that has none; the caller holds the sandbox's lock. A frame that was cut off goes."""
        with opened(self.spool, os.O_RDWR | os.O_APPEND) as fd:
            whole, ended = survey(fd)
            if ended:
                return
            cause = self.cause()
            said = {"code": None, "signal": 9 if cause in CAUSES else None, "cause": cause, "dropped": 0}
            data = json.dumps(said).encode()
            os.ftruncate(fd, whole)
            os.write(fd, HEAD.pack(OVER, len(data), 0, 0) + data)
            os.fsync(fd)

    def cause(self) -> str:
        try:
            with open(self.stopping) as file:
                return file.read()
        except FileNotFoundError:
            return "lost"


def survey(fd: int) -> tuple[int, bool]:
    """How far the spool is whole, and whether its last frame is the end."""
    at, size, over = 0, os.fstat(fd).st_size, False
    while at + HEAD.size <= size:
        kind, length, _, _ = HEAD.unpack(os.pread(fd, HEAD.size, at))
        if at + HEAD.size + length > size:
            break
        at, over = at + HEAD.size + length, kind == OVER
    return at, over


def write_whole(path: str, data: bytes) -> None:
    """Whole or not at all, and on the disk when this returns."""
    new = f"{path}.{os.getpid()}"
    with open(new, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
