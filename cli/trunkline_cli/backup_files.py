"""The files of a data directory that a backup holds: keys, settings, repositories, and what tasks may go on from.

Left out is what is made anew by itself: nats-server's own folder, views, sandboxes, sockets and locks.
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import IO, Final, cast

from trunkline.audit.book import CHECKPOINTS, fit, up_to
from trunkline.contracts.errors import Invalid
from trunkline_cli import unfinished

LEFT_OUT: Final = ("lock", "nats", "relay", unfinished.MARK)
BACKUP: Final = ".backup"
SANDBOXES: Final = "sandbox"
KEPT: Final = "kept"
"""Of the sandboxes' folder: what tasks may go on from."""
SITE: Final = Path("boxes", ".site")
"""And what its named sandboxes know it by: where it is restored, they are missed at once, and not when a site was silent for long."""

Write = Callable[[bytes], int]


def pack(root: Path, write: Write, last_seq: int) -> int:
    """Write them as one tar; returns how many. What goes away meanwhile is not in it. Raises OSError.

    Books of the log's witnesses tell of nothing beyond `last_seq`, where the log of this backup ends.
    """
    count, books = 0, {folder / CHECKPOINTS: up_to(folder, last_seq) for folder in root.glob("audit/*") if (folder / CHECKPOINTS).exists()}
    with tarfile.open(mode="w|", fileobj=cast(IO[bytes], _Writer(write)), format=tarfile.PAX_FORMAT) as tar:
        for path in _files(root):
            count += _add(tar, root, path, books.get(path))
    return count


def unpack(root: Path, chunks: Iterator[bytes]) -> None:
    """Put them back below `root`. Raises Invalid."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with tarfile.open(mode="r|", fileobj=cast(IO[bytes], _Reader(chunks))) as tar:
            for member in tar:
                _clear(root / _below(member).name)
                tar.extract(member, root, set_attrs=not member.issym())
    except tarfile.TarError as error:
        raise Invalid(f"the files in the backup cannot be read ({error})", code="BACKUP_DAMAGED") from error
    for file in root.glob(f"audit/*/{CHECKPOINTS}"):
        fit(file.parent)


def _files(root: Path) -> Iterator[Path]:
    for entry in sorted(root.iterdir()) if root.is_dir() else ():
        if entry.name == SANDBOXES:
            yield from _walk(entry / KEPT)
            yield from _walk(entry / SITE)
        elif entry.name not in LEFT_OUT and BACKUP not in entry.suffixes:
            yield from _walk(entry)


def _walk(top: Path) -> Iterator[Path]:
    if top.is_symlink() or not top.is_dir():
        if top.exists():
            yield top
        return
    yield top
    for folder, names, files in os.walk(top):
        yield from (Path(folder, name) for name in sorted((*names, *files)))


def _add(tar: tarfile.TarFile, root: Path, path: Path, most: int | None) -> int:
    """Of a file no more than it had when it was looked at, and as much: it may still be written."""
    try:
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
            return 0
        member = tar.gettarinfo(path, str(path.relative_to(root)))
        if not member.isreg():
            tar.addfile(member)
            return 0
        member.size = member.size if most is None else min(most, member.size)
        with path.open("rb") as file:
            tar.addfile(member, cast(IO[bytes], _Exactly(file, member.size)))
    except FileNotFoundError:
        return 0
    return 1


def _clear(path: Path) -> None:
    """What an earlier try put there may be closed to writing."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)


def named_sandboxes(root: Path) -> int:
    """How many lie below this data directory; their files are not in a backup of it."""
    known = import_module("trunkline_sandbox.adapters.providers.local.reaping").known
    label = import_module("trunkline_sandbox.handlers.named_host").NAMED
    return sum(label in record.spec.labels for _, record in known(root / SANDBOXES / SITE.parent))


def _below(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Raises Invalid for what would not lie below the folder that it is put into."""
    inside = not member.name.startswith("/") and ".." not in Path(member.name).parts
    if not (inside and (member.isreg() or member.isdir() or member.issym() or member.islnk())):
        raise Invalid(f"the backup holds {member.name!r}, which is no file of a data directory", code="BACKUP_DAMAGED")
    return member


class _Writer:
    def __init__(self, write: Write) -> None:
        self.write = write


class _Exactly:
    """A file of just so many bytes: what it lost meanwhile reads as zeros."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int) -> bytes:
        wanted = min(size, self._left)
        self._left -= wanted
        return self._file.read(wanted).ljust(wanted, b"\0")


class _Reader:
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = b""

    def read(self, size: int) -> bytes:
        while len(self._left) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._left += chunk
        found, self._left = self._left[:size], self._left[size:]
        return found
