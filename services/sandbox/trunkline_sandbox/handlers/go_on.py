"""A task that goes on from another: its repository and workspace, and how its agent takes up the conversation."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Final

from trunkline.contracts.errors import NotFound
from trunkline.contracts.task import Onward, Origin
from trunkline_sandbox.handlers.world import Job, World, sandbox_id
from trunkline_sandbox.model import AgentTask, Skill
from trunkline_sandbox.model.branches import branch_moved
from trunkline_sandbox.model.snapshots import Snapshot
from trunkline_sandbox.ports import Keep, Launch, Remote

NOT_KEPT: Final = "This installation keeps nothing of earlier tasks; set TRUNKLINE_SNAPSHOT_DAYS, or submit a new task."


class GoOn:
    """Every step may be repeated."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def clone(self, job: Job, origin: Origin, bare: Path) -> str:
        """Let `bare` and the tree beside it be as they were kept; returns the commit that the work is compared with.

        Raises NotFound SNAPSHOT_LOST, Conflict BRANCH_MOVED.
        """
        kept = sandbox_id(origin.task, origin.attempt)
        await self._keep.restore(kept, Snapshot(origin.snapshot, origin.commit), bare)
        if origin.pushed:
            await self._unmoved(self._world.forge.remote(job.access), origin, bare)
        tree = bare.with_name("tree")
        await self._world.git.checkout(bare, origin.commit, tree, origin.base)
        await self._world.provider.give(job.sandbox_id, tree)
        return origin.base

    async def _unmoved(self, reaching: AbstractAsyncContextManager[Remote], origin: Origin, bare: Path) -> None:
        """Better told now than after hours of work."""
        async with reaching as remote:
            try:
                there = await self._world.git.fetch(remote, origin.branch, bare)
            except NotFound as error:
                raise branch_moved(origin.branch, None) if error.code == "BRANCH_NOT_FOUND" else error from error
        if there != origin.pushed:
            raise branch_moved(origin.branch, there)

    async def launched(self, origin: Origin | None, task: AgentTask, launch: Launch) -> Launch:
        """With the files of the conversation in its home, where it takes one up at its first start."""
        if origin is None or task.sitting > 1 or not task.session:
            return launch
        files: Mapping[str, bytes] = await self._keep.home(sandbox_id(origin.task, origin.attempt), origin.snapshot)
        return replace(launch, home_files={**files, **launch.home_files})

    @property
    def _keep(self) -> Keep:
        if self._world.keep is None:
            raise NotFound(NOT_KEPT, code="SNAPSHOT_LOST")
        return self._world.keep


def first_task(plain: AgentTask, origin: Origin | None, skill: Skill) -> AgentTask:
    """What the first sitting is told: to take the conversation up where the agent can, else what came of it. Pure."""
    if origin is None:
        return plain
    fork = origin.onward is Onward.FORK
    if origin.session and skill.resume and (skill.fork or not fork):
        return replace(plain, session=origin.session, fork=fork)
    return replace(plain, prompt=_retold(plain.prompt, origin))


def _retold(text: str, origin: Origin) -> str:
    if not origin.asked and not origin.summary:
        return text
    before = [f"Earlier you were asked:\n{origin.asked}"] if origin.asked else []
    came = [f"What came of it, in the words said then:\n{origin.summary}"] if origin.summary else []
    where = "The workspace holds the work as it was left." if origin.snapshot else "The workspace is as it was before that work began."
    return "\n\n".join([*before, *came, where, f"Now:\n{text}"])
