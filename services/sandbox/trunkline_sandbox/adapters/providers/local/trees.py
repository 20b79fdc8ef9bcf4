"""Whole trees, moved, given away and removed; the agent made them, so no link in them is followed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from trunkline.contracts.errors import Broken, Invalid

_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PATIENCE = 600.0


def _tool(*argv: str) -> int:
    """The system's own tools walk by open directories: no depth, no length of path and no link can lead them astray."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_PATIENCE)
    return done.returncode


def remove(path: Path) -> None:
    """Remove whatever is at `path`; nothing there is fine. Raises Broken when something is left."""
    if not os.path.lexists(path):
        return
    if _tool("rm", "-rf", "--", str(path)) != 0:
        open_up(path)
        _tool("rm", "-rf", "--", str(path))
    if os.path.lexists(path):
        raise Broken(f"{path} could not be removed whole; remove it by hand.", code="SANDBOX_NOT_REMOVED")


def open_up(path: Path) -> None:
    """Let the owner read and enter everything."""
    _tool("chmod", "-R", "u+rwX", "--", str(path))


def give_away(path: Path, uid: int | None) -> None:
    """Make `uid` the owner of all; None leaves the owner."""
    if uid is not None and _tool("chown", "-R", "-h", "-P", f"{uid}:{uid}", "--", str(path)) != 0:
        raise Broken(f"{path} could not be given to user {uid}.", code="SANDBOX_OWNER")


def move(source: Path, target: Path) -> None:
    """Rename, or copy when `target` is on another filesystem; what was at `target` must be gone."""
    try:
        os.rename(source, target)
    except OSError:
        part = target.with_name(f".{target.name}.part")
        remove(part)
        shutil.copytree(source, part, symlinks=True)
        os.rename(part, target)
        remove(source)


def move_all(source: Path, target: Path) -> None:
    """Rename everything in one folder into another on the same filesystem; what is there already by that name gives way."""
    for name in os.listdir(source):
        os.rename(source / name, target / name)


def plant(root: Path, files: Mapping[str, bytes], uid: int | None) -> None:
    """Write `files` below `root`, a directory that the agent may have filled with links. Raises Invalid for a path that leads out."""
    for name, data in files.items():
        parts = [part for part in name.split("/") if part]
        if not parts or any(part in (".", "..") or "\0" in part for part in parts):
            raise Invalid(f"{name!r} is no path below the agent's home.", code="BAD_HOME_FILE")
        _plant(root, parts, data, uid)


def _plant(root: Path, parts: list[str], data: bytes, uid: int | None) -> None:
    dir = os.open(root, _DIR)
    try:
        for part in parts[:-1]:
            dir, old = _enter(dir, part, uid), dir
            os.close(old)
        _write(dir, parts[-1], data, uid)
    except OSError as error:
        raise Invalid(f"{'/'.join(parts)} cannot be written into the agent's home: {error.strerror}.", code="BAD_HOME_FILE") from error
    finally:
        os.close(dir)


def _enter(dir: int, name: str, uid: int | None) -> int:
    try:
        os.mkdir(name, 0o700, dir_fd=dir)
        made = True
    except FileExistsError:
        made = False
    fd = os.open(name, _DIR, dir_fd=dir)
    if made and uid is not None:
        os.fchown(fd, uid, uid)
    return fd


def _write(dir: int, name: str, data: bytes, uid: int | None) -> None:
    try:
        os.unlink(name, dir_fd=dir)
    except FileNotFoundError:
        pass
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=dir)
    with open(fd, "wb") as file:
        file.write(data)
        if uid is not None:
            os.fchown(file.fileno(), uid, uid)
