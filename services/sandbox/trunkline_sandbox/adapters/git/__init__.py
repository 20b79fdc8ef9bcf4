"""Git on our side of the wall, by its command-line program and in repositories that no agent ever saw."""

from __future__ import annotations

from pathlib import Path

from trunkline_sandbox.adapters.git import changes, fetching, places, pushing, trees
from trunkline_sandbox.adapters.git.remotes import Bounds
from trunkline_sandbox.ports import Commit, CommitSpec, Remote

__all__ = ["GitProgram"]


class GitProgram:
    """ports.Git. Sizes in bytes, times in seconds and per call of git; any call may be repeated, also after a kill in its middle."""

    def __init__(self, *, depth: int | None = None, size: int = 2 << 30, seconds: float = 600.0) -> None:
        """`depth` is how many commits of history are fetched (None: all), `size` how large a pack and a checked-out tree may be."""
        self._bounds = Bounds(depth, size, seconds)

    async def fetch(self, remote: Remote, branch: str, bare: Path) -> str:
        """Raises Invalid, NotFound, Denied, Unavailable, Overdue."""
        return await fetching.fetch(remote, branch, bare, self._bounds)

    async def checkout(self, bare: Path, commit: str, tree: Path) -> None:
        """Raises Invalid, NotFound, Unavailable, Overdue."""
        await trees.checkout(bare, commit, tree, self._bounds)

    async def commit(self, bare: Path, base: str, tree: Path, spec: CommitSpec) -> Commit | None:
        """Changes `tree`: nested `.git`, fifos, sockets and devices go. Raises Invalid, NotFound, Unavailable, Overdue."""
        return await changes.commit(bare, base, tree, spec, self._bounds)

    async def push(self, bare: Path, remote: Remote, commit: str, branch: str) -> None:
        """Raises Conflict, Denied, NotFound, Unavailable, Overdue."""
        await pushing.push(bare, remote, commit, branch, self._bounds)

    async def discard(self, folder: Path) -> None:
        """What resists is logged and left."""
        await places.remove(folder)
