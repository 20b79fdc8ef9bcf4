"""Commands to tasks, and what happens to them: load, decide, append."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from trunkline.contracts import subjects
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Accepted
from trunkline.contracts.task import CancelTask, SubmitTask
from trunkline.runtime.actor import Actor
from trunkline.runtime.faults import faultpoint
from trunkline_router.model import Cue, Happening, Task
from trunkline_router.ports import DueTask


class TaskLife:
    """The door to every task."""

    def __init__(self, actor: Actor[Task, tuple[Cue, datetime]], now: Callable[[], datetime]) -> None:
        self._actor = actor
        self._now = now

    async def submit(self, wish: SubmitTask) -> Accepted:
        faultpoint("accepted.before_effect")
        seq = await self._receive(DueTask(tenant=wish.tenant, task=wish.task_id), wish, wish.at)
        faultpoint("accepted.after_effect")
        return Accepted(seq=seq)

    async def cancel(self, wish: CancelTask) -> Accepted:
        return Accepted(seq=await self._receive(DueTask(tenant=wish.tenant, task=wish.task_id), wish, wish.at))

    async def happened(self, task: DueTask, happening: Happening) -> None:
        """Something outside the task concerns it."""
        await self._receive(task, happening, self._now())

    async def _receive(self, task: DueTask, cue: Cue, at: datetime) -> int:
        subject = subjects.event(TenantId(task.tenant), TaskId(task.task), "task")
        decided = await self._actor.receive(subject, (cue, at), at, cause=type(cue).__name__)
        return decided.seq
