"""Snapshots on this machine: commits in the attempt's own repository and packed conversations, moved aside when it is over."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from trunkline.contracts.errors import Exhausted, NotFound
from trunkline.contracts.ids import SandboxId
from trunkline_sandbox.adapters.git import places, snapshots
from trunkline_sandbox.adapters.providers.local.copying import read_home
from trunkline_sandbox.model.snapshots import Held, Snapshot
from trunkline_sandbox.ports import Copies

log = structlog.get_logger()

LOST: Final = (
    "What was kept of the earlier task is not on this machine: it was kept too long ago, or elsewhere. Submit a new task on its branch."
)
_TRIES: Final = 5
_PAUSE_S: Final = 0.2
SHARE: Final = 4
"""One attempt may take this part of all that is kept, beside its last snapshot."""


@dataclass(frozen=True, slots=True)
class LocalKeep:
    """ports.Keep. Below `runs` and `kept`, on one file system, lies one folder for each attempt, named like its sandbox."""

    copies: Copies
    runs: Path
    kept: Path
    most: int = 10 << 30
    """Bytes that are kept in all; the oldest goes first."""
    days: float = 7.0
    _sizes: dict[str, int] = field(default_factory=dict)
    _before: dict[str, int] = field(default_factory=dict)
    """What the attempts under way weighed before their first snapshots."""
    _commits: dict[str, str] = field(default_factory=dict)
    """Of the attempts under way, as their workspaces were last looked at."""
    _packed: dict[str, tuple[str, Path]] = field(default_factory=dict)
    """Their conversations as they were packed ahead: the digest, and where it lies."""

    async def keep(self, held: Held, prefix: str, at: int) -> Snapshot:
        """One call for an attempt at a time."""
        folder = self.runs / held.id
        if not held.last:
            await self._measure(held.id)
        commit = await self._committed(held, at)
        # Its own name each time: what a fact told of earlier is never written over.
        name = f"{prefix}-{secrets.token_hex(6)}"
        if not held.session_files:
            return Snapshot(name, commit, "")
        try:
            os.replace(await self._home(held), folder / "homes" / name)
        except Exhausted as error:  # the workspace is worth something without it
            return Snapshot(name, commit, error.message)
        return Snapshot(name, commit, "")

    async def prepare(self, held: Held, at: int) -> None:
        await self._committed(held, at)
        if held.session_files:
            packed = self._aside(held.id)
            self._packed[held.id] = (await self.copies.keep_home(held.id, held.session_files, packed), packed)

    async def _committed(self, held: Held, at: int) -> str:
        """The workspace as it stands; what did not change since it was last committed is not committed anew."""
        folder = self.runs / held.id
        tree = snapshots.Tree(folder / "clean.git", folder / "mirror", folder / "desk.git", held.base)
        known = self._commits.pop(held.id, "")  # whoever is interrupted in here knows nothing of what was copied
        changed = await self.copies.mirror(held.id, tree.tree)
        self._commits[held.id] = commit = known if known and not changed else await snapshots.snapshot(tree, at)
        return commit

    async def _home(self, held: Held) -> Path:
        """The conversation packed as it stands; what did not change since it was packed ahead is not packed anew. Raises Exhausted."""
        fresh = self._aside(held.id)
        digest, packed = self._packed.pop(held.id, ("", fresh))
        if await self.copies.keep_home(held.id, held.session_files, fresh, digest) == digest:
            return packed
        if packed != fresh:
            packed.unlink(missing_ok=True)
        return fresh

    def _aside(self, id: SandboxId) -> Path:
        return self.runs / id / "homes" / f".{secrets.token_hex(8)}"

    async def _measure(self, id: SandboxId) -> None:
        """An agent that writes much anew again and again must not fill the disk with what it had. Raises Exhausted."""
        weighs = await asyncio.to_thread(_kept_bytes, self.runs / id)
        if weighs - self._before.setdefault(id, weighs) > self.most // SHARE:
            text = f"The workspace is kept no more while the agent works: what was kept of it takes {self.most // SHARE >> 20} MiB already."
            raise Exhausted(text, code="SNAPSHOTS_FULL")

    async def put_away(self, id: SandboxId) -> None:
        """What is there already stays; the copy of the workspace and the git that looked at it are of no use any more."""
        run, kept = self.runs / id, self.kept / id
        self._before.pop(id, None)
        self._commits.pop(id, None)
        self._packed.pop(id, None)
        if not (run / "clean.git" / "HEAD").is_file() or kept.exists():
            return
        for place in (run / "mirror", run / "desk.git", run / "tree", *(run / "homes").glob(".*")):
            await places.remove(place)
        self.kept.mkdir(parents=True, exist_ok=True, mode=0o700)
        run.chmod(0o700)
        os.utime(run)
        os.rename(run, kept)

    async def restore(self, id: SandboxId, snapshot: Snapshot, bare: Path) -> None:
        for tried in range(_TRIES):
            try:
                return await snapshots.bring(self._folder(id) / "clean.git", snapshot.commit, bare)
            except NotFound:  # it may be on its way from one folder to the other
                if tried == _TRIES - 1:
                    raise _lost() from None
            await asyncio.sleep(_PAUSE_S)

    async def home(self, id: SandboxId, snapshot: str) -> Mapping[str, bytes]:
        for _ in range(_TRIES):
            try:
                return await asyncio.to_thread(read_home, self._folder(id) / "homes" / snapshot)
            except FileNotFoundError:
                await asyncio.sleep(_PAUSE_S)
        raise _lost()

    async def sweep(self) -> None:
        left, oldest = self.most, time.time() - self.days * 86400
        for kept_at, folder in sorted(self._all(), reverse=True):
            weighs = await asyncio.to_thread(self._weigh, folder)
            if weighs <= self.most:  # what is too much by itself must not cost the others
                left -= weighs
            if left < 0 or weighs > self.most or kept_at < oldest:
                await places.remove(folder)
                self._sizes.pop(folder.name, None)
                log.info("snapshots.swept", sandbox=folder.name)

    def _all(self) -> Iterator[tuple[float, Path]]:
        for folder in self.kept.iterdir() if self.kept.is_dir() else ():
            with suppress(FileNotFoundError):  # another replica sweeps too
                yield folder.stat().st_mtime, folder

    def _weigh(self, folder: Path) -> int:
        """Once: what is kept does not change."""
        if folder.name not in self._sizes:
            self._sizes[folder.name] = _bytes(folder)
        return self._sizes[folder.name]

    def _folder(self, id: SandboxId) -> Path:
        return self.kept / id if (self.kept / id).exists() else self.runs / id


def _kept_bytes(run: Path) -> int:
    return _bytes(run / "clean.git") + _bytes(run / "homes")


def _bytes(folder: Path) -> int:
    """On the disk, where a small file takes a whole block."""
    return sum(_size(Path(at) / name) for at, _, names in os.walk(folder) for name in names)


def _size(file: Path) -> int:
    with suppress(FileNotFoundError):
        return file.lstat().st_blocks * 512
    return 0


def _lost() -> NotFound:
    return NotFound(LOST, code="SNAPSHOT_LOST")
