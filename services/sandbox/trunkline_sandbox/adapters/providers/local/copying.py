"""Copying what an agent has while it goes on working: by open directories, so that no link that it swaps in leads out."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import stat
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO

from trunkline.contracts.errors import Exhausted

DEEPEST = 100
"""Folders within folders; what lies deeper is left out."""
MOST_ENTRIES = 200_000
MOST_HOME = 64 << 20
"""Bytes of a conversation."""
_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20
_TICK_NS = 50_000_000
"""What changed so shortly before it was looked at may change again without its time of change telling of it."""
_OURS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE)
"""Troubles of this machine, not of the workspace."""

Seen = tuple[int, int, int, int]
"""Inode, time of change, size and mode: what is the same was not touched."""


@dataclass(slots=True)
class Mirror:
    """A copy of one workspace that is brought up to date again and again; only what changed is copied anew."""

    most: int
    """Bytes in all."""
    _seen: dict[bytes, Seen] = field(default_factory=dict)
    _bytes: int = 0
    _entries: int = 0
    _settled: int = 0
    _touched: bool = False
    _turn: threading.Lock = field(default_factory=threading.Lock)
    """A caller that was cancelled leaves its copying behind, in a thread."""

    def update(self, source: Path, target: Path) -> bool:
        """Let `target`, ours alone, hold what `source` holds but for repositories in it; False when it is sure that it did already.

        Raises Exhausted when that is too much.
        """
        with self._turn:
            self._update(source, target)
            return self._touched

    def _update(self, source: Path, target: Path) -> None:
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._bytes = self._entries = 0
        self._touched = False
        self._settled = time.time_ns() - _TICK_NS
        before, self._seen = self._seen, {}
        with _opened(source) as here, _opened(target) as there:
            self._folder(here, there, b"", before)

    def _folder(self, here: int, there: int, path: bytes, before: dict[bytes, Seen]) -> None:
        wanted: set[bytes] = set()
        for name, found in _entries(here):
            self._entries += 1
            if self._entries > MOST_ENTRIES:
                raise _too_much("it holds too many files")
            with _in_motion():
                self._entry((here, there), (path, name), found, before)
                wanted.add(name)
        for name in {os.fsencode(entry) for entry in os.listdir(there)} - wanted:
            self._touched = True
            _drop(there, name)

    def _entry(self, dirs: tuple[int, int], place: tuple[bytes, bytes], found: os.stat_result, before: dict[bytes, Seen]) -> None:
        (here, there), (path, name) = dirs, place
        whole = path + b"/" + name
        if stat.S_ISDIR(found.st_mode):
            if whole.count(b"/") <= DEEPEST:
                self._touched |= _make_folder(there, name)
                with _opened(name, here) as below, _opened(name, there) as copy:
                    self._folder(below, copy, whole, before)
            return
        seen = (found.st_ino, found.st_ctime_ns, found.st_size, found.st_mode)
        self._count(found.st_size)
        if before.get(whole) != seen or not _is_there(there, name):
            self._touched = True
            (_copy_link if stat.S_ISLNK(found.st_mode) else _copy_file)(here, there, name, self.most)
        if found.st_ctime_ns < self._settled:
            self._seen[whole] = seen

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._bytes > self.most:
            raise _too_much(f"it holds more than {self.most >> 20} MiB")


def keep_home(home: Path, patterns: tuple[str, ...], file: Path, unless: str = "") -> str:
    """Pack the regular files below `home` that match into `file`; returns their digest, and packs nothing where that is `unless`.

    Raises Exhausted when they are more than MOST_HOME.
    """
    with _opened(home) as dir:
        found = _bounded(_matching(dir, patterns))
    digest = _digest(found)
    if digest != unless:
        _pack(found, file)
    return digest


def _bounded(files: Iterator[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    found, left = [], MOST_HOME
    for name, data in files:
        left -= len(data)
        if left < 0:
            raise _too_much(f"its conversation is longer than {MOST_HOME >> 20} MiB")
        found.append((name, data))
    return found


def _digest(files: list[tuple[str, bytes]]) -> str:
    told = hashlib.blake2b()
    for name, data in files:
        told.update(f"{len(os.fsencode(name))} {len(data)} ".encode() + os.fsencode(name))
        told.update(data)
    return told.hexdigest()


def _pack(files: list[tuple[str, bytes]], file: Path) -> None:
    part = file.with_name(f".{file.name}.part")
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _created(part) as raw, tarfile.open(fileobj=raw, mode="w:gz", compresslevel=1) as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    os.replace(part, file)


@contextmanager
def _created(part: Path) -> Iterator[BinaryIO]:
    """For nobody else to read; nothing is left of it when it cannot be finished."""
    try:
        with open(os.open(part, _NEW, 0o600), "wb") as file:
            yield file
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def read_home(file: Path) -> dict[str, bytes]:
    """What `keep_home` packed, by its path below the home. Raises FileNotFoundError."""
    with tarfile.open(file, "r:gz") as tar:
        found = ((member.name, tar.extractfile(member)) for member in tar if member.isreg() and member.size <= MOST_HOME)
        return {name: data.read() for name, data in found if data is not None}


def _matching(home: int, patterns: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    told: set[str] = set()
    for pattern in patterns:
        for name, data in _found(home, tuple(pattern.split("/")), ""):
            if name not in told:
                told.add(name)
                yield name, data


def _found(dir: int, parts: tuple[str, ...], path: str) -> Iterator[tuple[str, bytes]]:
    """`**` stands for any folders, also none."""
    if parts[0] == "**":
        yield from _found(dir, parts[1:], path)
    for raw, found in _entries(dir):
        name, deep = os.fsdecode(raw), parts[0] == "**"
        if not deep and not fnmatchcase(name, parts[0]):
            continue
        if stat.S_ISDIR(found.st_mode) and (deep or len(parts) > 1) and path.count("/") < DEEPEST:
            with _in_motion(), _opened(raw, dir) as below:
                yield from _found(below, parts if deep else parts[1:], f"{path}{name}/")
        elif stat.S_ISREG(found.st_mode) and len(parts) == 1 and not deep:
            with _in_motion():
                yield f"{path}{name}", _read(dir, raw)


def _read(dir: int, name: bytes) -> bytes:
    with open(_open_file(dir, name), "rb") as file:
        return file.read(MOST_HOME + 1)


def _open_file(dir: int, name: bytes) -> int:
    """Raises FileNotFoundError when it is no regular file any more."""
    try:
        fd = os.open(name, _FILE, dir_fd=dir)
    except OSError as error:
        raise FileNotFoundError from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileNotFoundError
    return fd


def _copy_file(here: int, there: int, name: bytes, most: int) -> None:
    with open(_open_file(here, name), "rb") as source:
        mode = 0o700 if os.fstat(source.fileno()).st_mode & 0o100 else 0o600
        _drop(there, name)
        with open(os.open(name, _NEW, mode, dir_fd=there), "wb") as target:
            while (chunk := source.read(_CHUNK)) and target.tell() <= most:
                target.write(chunk)


def _copy_link(here: int, there: int, name: bytes, most: int) -> None:
    leads_to = os.readlink(name, dir_fd=here)
    _drop(there, name)
    os.symlink(leads_to, name, dir_fd=there)


def _make_folder(there: int, name: bytes) -> bool:
    """Whether it had to be made."""
    with suppress(FileNotFoundError):
        if not stat.S_ISDIR(os.lstat(name, dir_fd=there).st_mode):
            os.unlink(name, dir_fd=there)
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=there)
        return True
    return False


def _drop(there: int, name: bytes) -> None:
    try:
        os.unlink(name, dir_fd=there)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        shutil.rmtree(os.fsdecode(name), dir_fd=there)


def _is_there(there: int, name: bytes) -> bool:
    with suppress(FileNotFoundError):
        os.lstat(name, dir_fd=there)
        return True
    return False


def _entries(dir: int) -> Iterator[tuple[bytes, os.stat_result]]:
    """Files, links and folders, but no repository; what else there is (pipes, devices) is left out."""
    with os.scandir(dir) as entries:
        found = ((entry.name, _stat(entry)) for entry in entries if entry.name.lower() != ".git")
        yield from ((os.fsencode(name), stat_) for name, stat_ in found if stat_ and _plain(stat_.st_mode))


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None


def _plain(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)


@contextmanager
def _in_motion() -> Iterator[None]:
    """What is there is being worked on: what became something else meanwhile, or may not be read, is left out."""
    try:
        yield
    except OSError as error:
        if error.errno in _OURS:
            raise


@contextmanager
def _opened(path: Path | bytes, dir: int | None = None) -> Iterator[int]:
    fd = os.open(path, _DIR, dir_fd=dir)
    try:
        yield fd
    finally:
        os.close(fd)


def _too_much(why: str) -> Exhausted:
    return Exhausted(f"The workspace was not kept: {why}.", code="SNAPSHOT_TOO_LARGE")
