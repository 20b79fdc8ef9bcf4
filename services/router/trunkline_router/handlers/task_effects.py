"""What the router does when something became of a task: release it, set its alarms, tell its family."""

from __future__ import annotations

from datetime import datetime, timedelta

from trunkline.bus import Stored, WorkItem
from trunkline.contracts import subjects
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Record
from trunkline.contracts.task import (
    Executor,
    TaskAssigned,
    TaskCancelled,
    TaskFailed,
    TaskGoesOn,
    TaskHeld,
    TaskReleased,
    TaskRetryScheduled,
    TaskSlaBreached,
    TaskStatus,
    TaskStopRequested,
    TaskSubmitted,
    TaskSucceeded,
)
from trunkline.runtime.actor import Actor
from trunkline.runtime.faults import faultpoint
from trunkline_router.handlers.family import Family
from trunkline_router.handlers.instance_effects import InstanceEffects
from trunkline_router.model import Cue, Task
from trunkline_router.ports import DueTask, Queue, Timers

STOP_WITHIN = timedelta(seconds=20)
"""Longer than a runner that was just killed needs to come back and confirm the stop itself."""


class TaskEffects:
    def __init__(
        self,
        actor: Actor[Task, tuple[Cue, datetime]],
        queue: Queue,
        timers: Timers,
        family: Family,
        instances: InstanceEffects,
    ) -> None:
        self._actor = actor
        self._queue = queue
        self._timers = timers
        self._family = family
        self._instances = instances

    async def on(self, stored: Stored) -> None:
        names = subjects.parse_event(stored.subject)
        due = DueTask(tenant=names.tenant, task=names.task)
        record = stored.record
        if _releases(record):  # what lets the work begin does not wait for an alarm
            await self._release(due, stored)
        for fact in record.facts:
            await self._act(due, fact, record.at, stored)
        for fact in record.facts:
            if isinstance(fact, TaskSubmitted):
                await self._submitted(due, fact, held=any(isinstance(other, TaskHeld) for other in record.facts))

    async def _act(self, due: DueTask, fact: Fact, at: datetime, stored: Stored) -> None:
        match fact:
            case TaskReleased() | TaskGoesOn():
                await self._timers.deadline(due, fact.deadline_at)
            case TaskSlaBreached():
                await self._breached(due, stored)
            case TaskRetryScheduled():
                await self._timers.retry(due.model_copy(update={"attempt": fact.attempt}), fact.due_at)
            case TaskStopRequested():
                await self._timers.stop(due, at + STOP_WITHIN)
            case TaskSucceeded() | TaskFailed() | TaskCancelled():
                await self._ended(due, fact, stored)
            case _:
                pass

    async def _submitted(self, due: DueTask, fact: TaskSubmitted, *, held: bool) -> None:
        if fact.sla_at and (held or fact.sla_at < fact.deadline_at):  # the one alarm sets the other when it rings
            await self._timers.sla(due, fact.sla_at)
        elif not held:  # the time of a held task begins with its release
            await self._timers.deadline(due, fact.deadline_at)
        if fact.assignment.parent:
            await self._family.joined(due, fact.assignment.parent)

    async def _breached(self, due: DueTask, stored: Stored) -> None:
        task = await self._actor.state(stored.subject, stored.seq)
        if task and not task.hold and not task.status.terminal:
            await self._timers.deadline(due, task.deadline_at)

    async def _ended(self, due: DueTask, fact: Fact, stored: Stored) -> None:
        task = await self._actor.state(stored.subject, stored.seq)
        if task is None:
            return
        if task.calls_home:
            await self._instances.ended(due, fact)
        if isinstance(fact, TaskCancelled):
            await self._family.dissolved(due, task.children)

    async def _release(self, due: DueTask, stored: Stored) -> None:
        """Put what is assigned, and not held, before the hands of ours; agents elsewhere find their tasks by themselves."""
        task = await self._actor.state(stored.subject, stored.seq)
        if task is None or task.status is not TaskStatus.ASSIGNED or task.hold or task.elsewhere:
            return
        if task.calls_home:  # the relay starts its workflow, by the same fact
            await self._instances.begin(due)
            return
        asked = task.assignment
        item = WorkItem(tenant=due.tenant, task=due.task, attempt=task.attempt, pool=asked.pool, priority=asked.priority.value)
        await self._queue.put(item)
        faultpoint("accepted.after_record")


def _releases(record: Record) -> bool:
    """Whether it may be that hands of ours are wanted now."""
    if any(isinstance(fact, TaskSubmitted) and fact.assignment.executor is Executor.BUS for fact in record.facts):
        return False
    return any(isinstance(fact, TaskAssigned | TaskReleased) for fact in record.facts)
