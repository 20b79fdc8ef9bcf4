"""Git on our side of the wall, by its command-line program and in repositories that no agent ever saw."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from trunkline.contracts.errors import Denied, NotFound
from trunkline_sandbox.adapters.git import changes, comparing, fetching, places, pushing, trees
from trunkline_sandbox.adapters.git.remotes import Bounds
from trunkline_sandbox.ports import AddedLine, Change, Commit, CommitSpec, Remote

__all__ = ["GitProgram"]

T = TypeVar("T")
_DOUBTED = ("REPO_DENIED", "REPO_NOT_FOUND")


class GitProgram:
    """ports.Git. Sizes in bytes, times in seconds and per call of git; any call may be repeated, also after a kill in its middle."""

    def __init__(self, *, depth: int | None = None, size: int = 2 << 30, seconds: float = 600.0, doubt: float = 1.0) -> None:
        """`depth` is how many commits of history are fetched (None: all), `size` how large a pack and a checked-out tree may be.

        `doubt` seconds after a forge did not know a credential or a repository it is asked once more.
        """
        self._bounds = Bounds(depth, size, seconds)
        self._doubt = doubt

    async def fetch(self, remote: Remote, branch: str, bare: Path) -> str:
        """Raises Invalid, NotFound, Denied, Exhausted, Unavailable, Overdue."""
        return await self._believed(remote, lambda: fetching.fetch(remote, branch, bare, self._bounds))

    async def checkout(self, bare: Path, commit: str, tree: Path, base: str = "") -> None:
        """Raises Invalid, NotFound, Unavailable, Overdue."""
        await trees.checkout(bare, commit, tree, self._bounds, base)

    async def commit(self, bare: Path, base: str, tree: Path, spec: CommitSpec) -> Commit | None:
        """Changes `tree`: nested `.git`, fifos, sockets and devices go. Raises Invalid, NotFound, Unavailable, Overdue."""
        return await changes.commit(bare, base, tree, spec, self._bounds)

    async def push(self, bare: Path, remote: Remote, commit: str, branch: str, expected: str = "") -> None:
        """Raises Conflict, Denied, NotFound, Exhausted, Unavailable, Overdue."""
        move = pushing.Move(branch, commit, expected)
        await self._believed(remote, lambda: pushing.push(bare, remote, move, self._bounds))

    async def changes(self, bare: Path, base: str, commit: str) -> tuple[Change, ...]:
        """A renamed file shows under both of its names. Raises Invalid for more than can be looked at, NotFound, Overdue."""
        return await comparing.changes(bare, base, commit, self._bounds)

    def added_lines(self, bare: Path, base: str, commit: str) -> AsyncIterator[AddedLine]:
        """What is not looked at any more stands as a last line with the number 0. Raises NotFound, Overdue."""
        return comparing.added_lines(bare, base, commit, self._bounds)

    async def discard(self, folder: Path) -> None:
        """What resists is logged and left."""
        await places.remove(folder)

    async def _believed(self, remote: Remote, work: Callable[[], Awaitable[T]]) -> T:
        """A token that was just made is not known to every machine of a forge at once."""
        try:
            return await work()
        except (Denied, NotFound) as error:
            if remote.credentials is None or error.code not in _DOUBTED:
                raise
        await asyncio.sleep(self._doubt)
        return await work()
