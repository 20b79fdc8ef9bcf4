"""Making a tree that an agent left fit for git to look at: nothing in it may run, block, or pass for another repository."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from trunkline.contracts.errors import Invalid, NotFound, Overdue
from trunkline_sandbox.adapters.git.places import aside, is_folder, remove, sweep


async def clear_away(tree: Path, seconds: float) -> None:
    """Take nested repositories, fifos, sockets and devices out of `tree` and make the rest readable; the `.git` at its top stays.

    A nested `.git` would have git look into a repository of the agent's making, with settings that name programs; without it the files
    beside it are files like any others. Raises Invalid, NotFound and Overdue.
    """
    if not is_folder(tree):
        raise NotFound("The workspace is gone; the agent has to be run again.", code="TREE_MISSING")
    await sweep(tree)
    trash = aside(tree)
    trash.mkdir()
    try:
        await asyncio.to_thread(_clear, os.fsencode(tree), os.fsencode(trash), time.monotonic() + seconds)
    except OSError as error:
        text = "The agent left a workspace that cannot be read; it has to leave paths of a normal length that are its own."
        raise Invalid(text, code="TREE_UNREADABLE", reason=error.strerror) from error
    finally:
        await remove(trash)


def _clear(tree: bytes, trash: bytes, until: float) -> None:
    unfit = [path for path in _walk(tree, until) if path != os.path.join(tree, b".git")]
    for number, path in enumerate(unfit):
        os.rename(path, os.path.join(trash, str(number).encode()))


def _walk(tree: bytes, until: float) -> Iterator[bytes]:
    """Paths that have to go. By a stack, because an agent can nest deeper than Python recurses."""
    _open_up(tree, os.lstat(tree).st_mode)
    stack = [tree]
    while stack:
        if time.monotonic() > until:
            raise Overdue("Looking through the workspace took too long: it holds too many files.", code="TREE_OVERDUE")
        for path, mode in _entries(stack.pop()):
            if os.path.basename(path) == b".git" or not _plain(mode):
                yield path
            elif stat.S_ISDIR(mode):
                stack.append(path)


def _entries(folder: bytes) -> Iterator[tuple[bytes, int]]:
    """Path and mode of what is in it, readable from now on."""
    with os.scandir(folder) as entries:
        for entry in entries:
            mode = entry.stat(follow_symlinks=False).st_mode
            _open_up(entry.path, mode)
            yield entry.path, mode


def _plain(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)


def _open_up(path: bytes, mode: int) -> None:
    """Let ourselves in; a root without the usual capabilities needs that too."""
    wanted = 0o700 if stat.S_ISDIR(mode) else 0o400 if stat.S_ISREG(mode) else 0
    if mode & wanted != wanted:
        os.chmod(path, stat.S_IMODE(mode) | wanted)
