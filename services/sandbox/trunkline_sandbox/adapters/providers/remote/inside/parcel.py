"""A tree as one stream of bytes, packed and unpacked the same on both sides; whoever unpacks it trusts nothing in it."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator

TYPE_CHECKING = False  # `typing` costs as much as all the rest of a call
if TYPE_CHECKING:
    from typing import BinaryIO


ENTRY = struct.Struct("<cxxxIQ")
"""Kind, length of the path, length of what follows; then both. A link's content is where it leads to."""
FOLDER, FILE, PROGRAM, LINK, LAST = b"D", b"F", b"X", b"L", b"E"
LONGEST_PATH = 4096
MOST_ENTRIES = 1_000_000
PIECE = 1 << 18
_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class BadParcel(Exception):
    """It is no parcel, leads out of its place, or is more than was agreed."""


def pack(root: str, out: BinaryIO, most: int, without: tuple[bytes, ...] = ()) -> None:
    """Write what lies below `root`, but for names in `without`; raises BadParcel when it is more than `most` bytes."""
    left = most
    for entries, (path, name) in enumerate(walk(os.fsencode(root), without)):
        left -= add(out, path, name)
        if left < 0 or entries >= MOST_ENTRIES:
            raise BadParcel(f"it holds more than {most >> 20} MiB or {MOST_ENTRIES} files")
    close(out)


def close(out: BinaryIO) -> None:
    """Write the end, without which a parcel counts as cut off."""
    out.write(ENTRY.pack(LAST, 0, 0))


def walk(root: bytes, without: tuple[bytes, ...]) -> Iterator[tuple[bytes, bytes]]:
    """Every path below, folders before what is in them, each with its name below `root`; no link is followed."""
    todo = [(root, b"")]
    while todo:
        folder, below = todo.pop()
        for name in names(folder):
            inner = below + b"/" + name if below else name
            if name in without or len(inner) > LONGEST_PATH:
                continue
            path = folder + b"/" + name
            yield path, inner
            if os.path.isdir(path) and not os.path.islink(path):
                todo.append((path, inner))


def names(folder: bytes) -> list[bytes]:
    """What is in a folder, also in one that was shut; nothing where it is gone."""
    try:
        return sorted(os.listdir(folder))
    except PermissionError:
        os.chmod(folder, 0o700)
        return sorted(os.listdir(folder))
    except OSError:
        return []


def add(out: BinaryIO, path: bytes, name: bytes) -> int:
    """Write one entry; its size. What is neither file, folder nor link is left out."""
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        return put(out, LINK, name, os.readlink(path))
    if stat.S_ISDIR(mode):
        return put(out, FOLDER, name, b"")
    return add_file(out, path, name, mode) if stat.S_ISREG(mode) else 0


def put(out: BinaryIO, kind: bytes, name: bytes, content: bytes) -> int:
    """Write an entry whose content is at hand; its size."""
    out.write(ENTRY.pack(kind, len(name), len(content)) + name + content)
    return len(content)


def add_file(out: BinaryIO, path: bytes, name: bytes, mode: int) -> int:
    """One that shrinks meanwhile is filled up with zeros: its length was written before it."""
    if not mode & 0o400:
        os.chmod(path, mode | 0o400)
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        out.write(ENTRY.pack(PROGRAM if mode & 0o100 else FILE, len(name), size) + name)
        left = size
        while left:
            piece = file.read(min(PIECE, left)) or bytes(min(PIECE, left))
            out.write(piece)
            left -= len(piece)
    return size


def unpack(source: BinaryIO, root: str, most: int) -> None:
    """Make the tree in the empty folder `root`. Raises BadParcel; what was made until then stays."""
    top = os.open(root, _DIR)
    try:
        left = most
        for _ in range(MOST_ENTRIES + 1):
            kind, length, size = ENTRY.unpack(exactly(source, ENTRY.size))
            if kind == LAST:
                return
            left -= size
            if length > LONGEST_PATH or left < 0 or (kind == LINK and size > LONGEST_PATH):
                raise BadParcel(f"it holds more than {most >> 20} MiB, or a path that is too long")
            place(source, top, kind, (exactly(source, length), size))
        raise BadParcel(f"it holds more than {MOST_ENTRIES} files")
    except OSError as error:
        raise BadParcel(f"an entry cannot be made: {error.strerror}") from error
    finally:
        os.close(top)


def place(source: BinaryIO, top: int, kind: bytes, what: tuple[bytes, int]) -> None:
    """Make one entry: each folder on the way is opened from the last, so that no link leads out."""
    parts, size = what[0].split(b"/"), what[1]
    if any(part in (b"", b".", b"..") or b"\0" in part for part in parts):
        raise BadParcel("a path in it leads out")
    folder = enter(top, parts[:-1])
    try:
        if kind == FOLDER and not size:
            os.mkdir(parts[-1], 0o755, dir_fd=folder)
        elif kind == LINK:
            os.symlink(exactly(source, size), parts[-1], dir_fd=folder)
        elif kind in (FILE, PROGRAM):
            fill(source, os.open(parts[-1], _NEW, 0o755 if kind == PROGRAM else 0o644, dir_fd=folder), size)
        else:
            raise BadParcel("it holds something that is neither file, folder nor link")
    finally:
        os.close(folder)


def enter(top: int, parts: list[bytes]) -> int:
    """The folder, opened."""
    folder = os.dup(top)
    for part in parts:
        try:
            below = os.open(part, _DIR, dir_fd=folder)
        finally:
            os.close(folder)
        folder = below
    return folder


def fill(source: BinaryIO, fd: int, size: int) -> None:
    """Write the next `size` bytes into the open file and close it."""
    with open(fd, "wb") as file:
        while size:
            piece = exactly(source, min(PIECE, size))
            file.write(piece)
            size -= len(piece)


def exactly(source: BinaryIO, size: int) -> bytes:
    """So many bytes. Raises BadParcel when there are less."""
    parts, left = [], size
    while left:
        piece = source.read(left)
        if not piece:
            raise BadParcel("it is cut off")
        parts.append(piece)
        left -= len(piece)
    return b"".join(parts)
