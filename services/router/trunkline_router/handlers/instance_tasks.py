"""The tasks of instances: made where an agent registers itself, and asked how their instances begin."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from trunkline.bus import Log
from trunkline.contracts.instance import OpenInstance, SayAsInstance, instance_subject
from trunkline.contracts.task import SubmitTask, TaskSubmitted
from trunkline.runtime.actor import Actor
from trunkline_router.handlers.task_life import TaskLife
from trunkline_router.model import Cue, Task
from trunkline_router.model.instance_cues import Opening
from trunkline_router.model.instance_opening import assignment, opening
from trunkline_router.ports import DueTask


class Begun(NamedTuple):
    """How an instance begins, and since when its task is there."""

    opening: Opening
    at: datetime


class InstanceTasks:
    def __init__(self, life: TaskLife, actor: Actor[Task, tuple[Cue, datetime]], log: Log) -> None:
        self._life = life
        self._actor = actor
        self._log = log

    async def begun(self, due: DueTask) -> Begun | None:
        """None where there is no task, or its agent is no instance."""
        first, task = await self._log.first(due.subject), await self._task(due)
        if first is None or task is None:
            return None
        submitted = next((fact for fact in first.record.facts if isinstance(fact, TaskSubmitted)), None)
        found = opening(submitted, task.status) if submitted else None
        return Begun(found, first.record.at) if found else None

    async def make(self, due: DueTask, wish: OpenInstance | SayAsInstance) -> Begun | None:
        """Of two that come at once one makes the task. None where there is another task by that id, and for a key: it makes none."""
        if not wish.agent_type or wish.by.startswith(instance_subject("")):
            return None
        submit = SubmitTask(
            tenant=wish.tenant,
            at=wish.at,
            task_id=wish.task_id,
            assignment=assignment(wish),
            submitted_by=wish.by,
            aliases=wish.aliases,
        )
        await self._life.submit(submit)
        return await self.begun(due)

    async def attempt(self, due: DueTask) -> int:
        """The one that its instance is of; 0, which is none, where nobody allowed it to begin yet."""
        task = await self._actor.state(due.subject, 1)
        return task.attempt if task and not task.hold else 0

    async def _task(self, due: DueTask) -> Task | None:
        last = await self._log.last(due.subject)
        return await self._actor.state(due.subject, last.seq) if last else None
