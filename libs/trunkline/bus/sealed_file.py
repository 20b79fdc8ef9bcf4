"""A backup as a file: pieces sealed one after the other, so that it is written and read in little memory and no damage goes unnoticed.

"trunkline-backup 1\\n", 16 bytes of salt, 8 that name the key, then pieces: 4 bytes of length (the highest bit: the last one), sealed.
Opened, a piece begins with J for a JSON object that says what follows, or with D for bytes of it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Final

import orjson

from trunkline.bus.vault import Pieces
from trunkline.contracts.errors import Conflict, Exhausted, Invalid

MAGIC: Final = b"trunkline-backup "
VERSION: Final = b"1\n"
_SALT, _NAME, _LENGTH, _TAG = 16, 8, 4, 16
_LAST: Final = 1 << 31
LARGEST: Final = 1 << 20

Json = dict[str, Any]
Piece = Json | bytes


class SealedWriter:
    """Writes pieces; `end` it, or it is no backup."""

    def __init__(self, file: IO[bytes], key: bytes) -> None:
        salt = os.urandom(_SALT)
        self._file = file
        self._pieces = Pieces(key, salt)
        file.write(MAGIC + VERSION + salt + _named(key, salt))

    def say(self, what: Json) -> None:
        self._put(b"J" + orjson.dumps(what), last=False)

    def write(self, body: bytes) -> int:
        for first in range(0, len(body), LARGEST):
            self._put(b"D" + body[first : first + LARGEST], last=False)
        return len(body)

    def end(self, what: Json) -> None:
        self._put(b"J" + orjson.dumps(what), last=True)

    def _put(self, piece: bytes, *, last: bool) -> None:
        sealed = self._pieces.seal(piece, last=last)
        self._file.write((len(sealed) | (_LAST if last else 0)).to_bytes(_LENGTH, "big") + sealed)


def pieces(file: IO[bytes], key: bytes) -> Iterator[Piece]:
    """What was written, in order. Raises Invalid where it is no backup, was sealed with another key, is damaged or cut."""
    opening = _opening(file, key)
    number = 0
    while True:
        number += 1
        head = file.read(_LENGTH)
        word = int.from_bytes(head, "big")
        length, last = word & ~_LAST, bool(word & _LAST)
        if len(head) < _LENGTH:
            raise Invalid(f"the backup is cut: it ends after piece {number - 1}. Take another copy of it.", code="BACKUP_DAMAGED")
        sealed = file.read(length) if _TAG < length <= LARGEST + 1 + _TAG else b""
        opened = opening.opened(sealed, last=last) if len(sealed) == length else None
        if opened is None:
            place = f"piece {number}, before byte {file.tell():,}"
            raise Invalid(f"the backup is damaged or cut at {place}. Take another copy of it.", code="BACKUP_DAMAGED")
        yield orjson.loads(opened[1:]) if opened[:1] == b"J" else opened[1:]
        if last:
            break
    if file.read(1):
        raise Invalid("the backup is damaged: something lies behind its end. Take another copy of it.", code="BACKUP_DAMAGED")


def _opening(file: IO[bytes], key: bytes) -> Pieces:
    if file.read(len(MAGIC)) != MAGIC:
        raise Invalid("this is no backup of Trunkline's", code="NO_BACKUP")
    if (version := file.readline(16)) != VERSION:
        said = version.decode("ascii", "replace").strip()
        raise Invalid(
            f"this backup has the version {said}; this Trunkline reads version 1. Restore it with a newer one.", code="BACKUP_VERSION"
        )
    salt = file.read(_SALT)
    if file.read(_NAME) != _named(key, salt):
        message = (
            "this backup was sealed with another key. Set TRUNKLINE_VAULT_KEY_FILE, or --key-file, to the key of the place that it is from."
        )
        raise Invalid(message, code="BACKUP_KEY")
    return Pieces(key, salt)


def _named(key: bytes, salt: bytes) -> bytes:
    return sha256(b"trunkline backup key 1\0" + salt + key).digest()[:_NAME]


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that is there whole, on disk and only for its owner, or not at all. Raises Conflict, Exhausted DISK_FULL, Invalid."""
    if path.exists():
        raise Conflict(f"{path} exists already; name another file", code="FILE_EXISTS")
    beside = path.with_name(path.name + ".part")
    with reported(path):
        beside.unlink(missing_ok=True)
        try:
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb", buffering=1 << 20) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            beside.rename(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """What goes wrong with a file, as a refusal. Raises Exhausted DISK_FULL, Invalid BAD_FILE."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise Exhausted(
                f"There is no room for {path} ({error.strerror}). Free some space, or write elsewhere.", code="DISK_FULL"
            ) from None
        raise Invalid(f"{path} cannot be used ({error.strerror or error}).", code="BAD_FILE") from None
