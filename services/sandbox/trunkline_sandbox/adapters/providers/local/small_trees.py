"""A small tree copied by our own hands: to start a program that does it takes longer than the copy."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MOST_ENTRIES: Final = 300
"""Beyond it the system's own program is the faster one."""
MOST_BYTES: Final = 32 << 20
_FLAGS: Final = os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK: Final = 1 << 20
_MODE: Final = 0o1777
"""Never who runs it: that goes with its owner."""
_NOT_HERE: Final = (errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
"""It cannot be copied so between these two file systems."""
_Entry = tuple[str, os.stat_result]


def copy(source: Path, target: Path, uid: int | None) -> bool:
    """Let the folder `target` hold what `source` does, as `uid`'s, or its owner's where that is None; no link is followed.

    False for a tree that is large, or holds what nobody but the system's own program copies whole: it copies over what is there then.
    Nobody may work in either of them.
    """
    found = _small(source)
    if found is None:
        return False
    owner = (-1, -1) if uid is None else (uid, uid)
    try:
        for path, seen in found:
            _copy_one((f"{source}/{path}", f"{target}/{path}"), seen, owner)
        for path, seen in reversed(found):
            if stat.S_ISDIR(seen.st_mode):  # its time changed with each that came into it
                os.utime(f"{target}/{path}", ns=(seen.st_atime_ns, seen.st_mtime_ns))
    except PermissionError:
        return False
    return True


def _small(source: Path) -> list[_Entry] | None:
    """Everything below it, a folder before what it holds; None for what is not copied here."""
    found: list[_Entry] = []
    size = 0
    try:
        for entry in _below(str(source), ""):
            found.append(entry)
            size += entry[1].st_size
            if len(found) > MOST_ENTRIES or size > MOST_BYTES or not _plain(entry[1]):
                return None
    except PermissionError:
        return None
    return found


def _below(root: str, path: str) -> Iterator[_Entry]:
    with os.scandir(os.path.join(root, path)) as entries:
        found = [(os.path.join(path, entry.name), entry.stat(follow_symlinks=False)) for entry in entries]
    for name, seen in found:
        yield name, seen
        if stat.S_ISDIR(seen.st_mode):
            yield from _below(root, name)


def _plain(seen: os.stat_result) -> bool:
    mode = seen.st_mode
    return stat.S_ISDIR(mode) or stat.S_ISLNK(mode) or (stat.S_ISREG(mode) and seen.st_nlink == 1)


def _copy_one(paths: tuple[str, str], seen: os.stat_result, owner: tuple[int, int]) -> None:
    source, target = paths
    if stat.S_ISDIR(seen.st_mode):
        if not os.path.isdir(target):
            os.mkdir(target, 0o700)
        os.chown(target, *owner)
        os.chmod(target, seen.st_mode & _MODE)
        return
    if os.path.lexists(target):  # it was begun before
        os.unlink(target)
    if stat.S_ISLNK(seen.st_mode):
        os.symlink(os.readlink(source), target)
        os.chown(target, *owner, follow_symlinks=False)
        return
    reading = os.open(source, os.O_RDONLY | _FLAGS)
    try:
        _write_file(reading, target, seen, owner)
    finally:
        os.close(reading)


def _write_file(reading: int, target: str, seen: os.stat_result, owner: tuple[int, int]) -> None:
    writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
    try:
        _carry(reading, writing, seen.st_size)
        os.fchown(writing, *owner)
        os.fchmod(writing, seen.st_mode & _MODE)
        os.utime(writing, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    finally:
        os.close(writing)


def _carry(reading: int, writing: int, left: int) -> None:
    """Blocks are shared where the file system can."""
    while left > 0:
        done = _carried(reading, writing, left)
        if not done:
            raise OSError(errno.EIO, "it became shorter while it was copied")
        left -= done


def _carried(reading: int, writing: int, most: int) -> int:
    try:
        return os.copy_file_range(reading, writing, most)
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
    data = os.read(reading, min(most, _CHUNK))
    written = 0
    while written < len(data):
        written += os.write(writing, data[written:])
    return written
