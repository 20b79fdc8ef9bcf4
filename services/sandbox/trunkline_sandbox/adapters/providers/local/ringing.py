"""Hearing from the kernel that a file was written to, so that who follows it need not look all the time."""

from __future__ import annotations

import asyncio
import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MOST = 64
"""Files of one process that are listened to; Linux gives a user 128 such ears. Who gets none looks more often."""
_WRITTEN, _CLOSED = 0x2, 0x8
"""IN_MODIFY, IN_CLOSE_WRITE."""
_ROOM = 4096
_free = threading.Semaphore(MOST)


class Ring:
    """`sure`: the kernel tells; else only time passes."""

    def __init__(self, sure: bool) -> None:
        self.sure = sure
        self._news = asyncio.Event()

    def ring(self, fd: int) -> None:
        """What it says of the file does not matter."""
        with suppress(OSError):
            os.read(fd, _ROOM)
        self._news.set()

    async def wait(self, seconds: float) -> None:
        """Returns when the file was written to since the last wait ended, or after so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()


@contextmanager
def ringing(file: Path) -> Iterator[Ring]:
    """Listen to `file` in the running loop."""
    fd = _listening(file)
    ring = Ring(fd is not None)
    if fd is None:
        yield ring
        return
    loop = asyncio.get_running_loop()
    loop.add_reader(fd, ring.ring, fd)
    try:
        yield ring
    finally:
        loop.remove_reader(fd)
        _free.release()
        _deafen(loop, fd)


def _deafen(loop: asyncio.AbstractEventLoop, fd: int) -> None:
    """Beside the loop: the kernel takes 15 ms for it, in which nobody would hear anything."""
    try:
        loop.run_in_executor(None, os.close, fd)
    except RuntimeError:  # the loop is at its end, and nobody waits for it any more
        os.close(fd)


def _listening(file: Path) -> int | None:
    """An ear for it; None where there is none left, or none at all."""
    if not _free.acquire(blocking=False):
        return None
    fd = -1
    with suppress(AttributeError, OSError):
        libc = ctypes.CDLL(None)
        fd = int(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        if fd >= 0 and libc.inotify_add_watch(fd, os.fsencode(file), _WRITTEN | _CLOSED) >= 0:
            return fd
    if fd >= 0:
        os.close(fd)
    _free.release()
    return None
