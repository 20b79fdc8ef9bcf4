"""The data directory: made for its owner only, held by one `up` at a time, refused when it cannot be written."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from trunkline.contracts.errors import Conflict, Exhausted, Invalid

LEAST_FREE: Final = 128 << 20


@contextmanager
def held(root: Path) -> Iterator[None]:
    """Hold `root` until the end; the kernel lets go when we die. Raises Conflict (DATA_DIR_IN_USE), Invalid or Exhausted."""
    with _reported(root):
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(lock, root)
        with _reported(root):
            _sign(lock)
            _check_space(root)
        yield
    finally:
        os.close(lock)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, all of it or nothing. Raises Invalid or Exhausted."""
    with _reported(path.parent):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = path.with_suffix(path.suffix + ".new")
        beside.unlink(missing_ok=True)
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        beside.replace(path)


def _take(lock: int, root: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
        raise Conflict(
            f"Trunkline is already running on {root} (process {holder}). "
            f"Stop it with Ctrl-C in its terminal or `kill {holder}`, or give this one another --data-dir.",
            code="DATA_DIR_IN_USE",
        ) from None


def _sign(lock: int) -> None:
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


def _check_space(root: Path) -> None:
    free = shutil.disk_usage(root).free
    if free < LEAST_FREE:
        raise OSError(errno.ENOSPC, f"{free >> 20} MiB are free, {LEAST_FREE >> 20} are needed")


@contextmanager
def _reported(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Exhausted(
                f"The disk of {root} is full ({error.strerror}). Free some space, or move --data-dir.", code="DISK_FULL"
            ) from None
        raise Invalid(
            f"The data directory {root} cannot be used ({error.strerror}). Make it writable or give another --data-dir.", code="DATA_DIR"
        ) from None
