"""Locks that live as long as an open file, however many processes inherit it, and that can be looked at without being taken."""

from __future__ import annotations

import fcntl
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trunkline.contracts.errors import Unavailable

_FLOCK = "hhqqi4x"


def _ask(fd: int, command: int, kind: int) -> int:
    answer = fcntl.fcntl(fd, command, struct.pack(_FLOCK, kind, os.SEEK_SET, 0, 0, 0))
    return int(struct.unpack(_FLOCK, answer)[0])


def take(fd: int) -> bool:
    """Lock the open file `fd` for whoever inherits it; False when another holds it."""
    try:
        _ask(fd, fcntl.F_OFD_SETLK, fcntl.F_WRLCK)
    except (BlockingIOError, PermissionError):
        return False
    return True


def held(fd: int) -> bool:
    """Whether another open file holds the lock; takes nothing."""
    return _ask(fd, fcntl.F_OFD_GETLK, fcntl.F_WRLCK) != fcntl.F_UNLCK


@contextmanager
def locked(path: Path, patience: float = 15.0) -> Iterator[None]:
    """Hold the lock file `path`, waiting at most `patience` seconds. Raises Unavailable; FileNotFoundError when its directory is gone."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        end = time.monotonic() + patience
        while not take(fd):
            if time.monotonic() > end:
                raise Unavailable(f"Another process holds {path.name} for too long; try again.", code="SANDBOX_BUSY")
            time.sleep(0.005)
        yield
    finally:
        os.close(fd)
