"""An alarm for a deadline rang: it ends the task, unless the deadline has moved or stands still."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from trunkline_router.handlers.task_life import TaskLife
from trunkline_router.handlers.waits import Waits
from trunkline_router.model import DeadlineReached, Task, too_early
from trunkline_router.ports import DueTask, Timers

SKEW: Final = timedelta(seconds=2)
"""So much may the clocks of two machines differ."""


class Deadlines:
    def __init__(self, life: TaskLife, waits: Waits, timers: Timers, now: Callable[[], datetime]) -> None:
        self._life = life
        self._waits = waits
        self._timers = timers
        self._now = now

    async def on(self, due: DueTask) -> None:
        """Raises Unavailable."""
        task = await self._waits.catch_up(due)  # this alarm may be faster than the news that the run waits
        if task is None or task.status.terminal:
            return
        now = self._now()
        if too_early(task, now):
            await self._again(due, task, task.deadline_at - now)
            return
        await self._life.happened(due, DeadlineReached())

    async def _again(self, due: DueTask, task: Task, left: timedelta) -> None:
        """An alarm for a deadline that has moved does nothing; but one that is only early is set again, or none would ring."""
        if not task.moved or left <= SKEW:
            # The clock of nats-server runs ahead of ours by what is left.
            await self._timers.deadline(due, task.deadline_at + left)
