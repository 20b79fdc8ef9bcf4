"""What became of an instance is news for its task: its agent called, is done, or is lost."""

from __future__ import annotations

from trunkline.bus import Stored
from trunkline.contracts import subjects
from trunkline_router.handlers.instance_clock import InstanceClock
from trunkline_router.handlers.instance_tasks import InstanceTasks
from trunkline_router.handlers.task_life import TaskLife
from trunkline_router.model.instance_news import instance_news, watched
from trunkline_router.ports import DueTask


class InstanceNews:
    def __init__(self, life: TaskLife, tasks: InstanceTasks, clock: InstanceClock) -> None:
        self._life = life
        self._tasks = tasks
        self._clock = clock

    async def on(self, stored: Stored) -> None:
        names = subjects.parse_event(stored.subject)
        due = DueTask(tenant=names.tenant, task=names.task)
        attempt = await self._tasks.attempt(due)
        for fact in stored.record.facts:
            if happening := instance_news(fact, attempt):
                await self._life.happened(due, happening)
            if watched(fact):
                await self._clock.watch(due, stored.record.at)
