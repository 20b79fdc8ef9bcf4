"""What the router does when something became of a task: release it, set its alarms, forget them."""

from __future__ import annotations

from datetime import datetime, timedelta

from trunkline.bus import Stored, WorkItem
from trunkline.contracts import subjects
from trunkline.contracts.message import Fact
from trunkline.contracts.task import (
    TaskAssigned,
    TaskCancelled,
    TaskFailed,
    TaskRetryScheduled,
    TaskStatus,
    TaskStopRequested,
    TaskSubmitted,
    TaskSucceeded,
)
from trunkline.runtime.actor import Actor
from trunkline.runtime.faults import faultpoint
from trunkline_router.model import Cue, Task
from trunkline_router.ports import DueTask, Queue, Timers

STOP_WITHIN = timedelta(seconds=20)
"""Longer than a runner that was just killed needs to come back and confirm the stop itself."""


class TaskEffects:
    def __init__(self, actor: Actor[Task, tuple[Cue, datetime]], queue: Queue, timers: Timers) -> None:
        self._actor = actor
        self._queue = queue
        self._timers = timers

    async def on(self, stored: Stored) -> None:
        names = subjects.parse_event(stored.subject)
        record = stored.record
        for fact in reversed(record.facts):  # what lets the work begin does not wait for an alarm
            if isinstance(fact, TaskAssigned):
                await self._release(DueTask(tenant=names.tenant, task=names.task), fact, stored)
            else:
                await self._act(DueTask(tenant=names.tenant, task=names.task), fact, record.at)

    async def _act(self, due: DueTask, fact: Fact, at: datetime) -> None:
        match fact:
            case TaskSubmitted():
                await self._timers.deadline(due, fact.deadline_at)
            case TaskRetryScheduled():
                await self._timers.retry(due.model_copy(update={"attempt": fact.attempt}), fact.due_at)
            case TaskStopRequested():
                await self._timers.stop(due, at + STOP_WITHIN)
            case TaskSucceeded() | TaskFailed() | TaskCancelled():
                await self._timers.forget(due.task)
            case _:
                pass

    async def _release(self, due: DueTask, fact: TaskAssigned, stored: Stored) -> None:
        task = await self._actor.state(stored.subject, stored.seq)
        if task is None or task.status is not TaskStatus.ASSIGNED or task.attempt != fact.attempt:
            return
        priority = task.assignment.priority.value
        await self._queue.put(WorkItem(tenant=due.tenant, task=due.task, attempt=fact.attempt, pool=fact.pool, priority=priority))
        faultpoint("accepted.after_record")
