"""What the router does when something became of a task: release it, set its alarms, tell its family."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from trunkline.bus import Stored, WorkItem
from trunkline.contracts import subjects
from trunkline.contracts.agent import STOP, Stopping
from trunkline.contracts.ids import TenantId
from trunkline.contracts.lease import TaskLeased
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
from trunkline.contracts.task_waiting import TaskDelayed, TaskPlaceGiven
from trunkline.runtime.actor import Actor
from trunkline.runtime.faults import faultpoint
from trunkline_router.handlers.agent_runs import LEASE_ENDS, AgentRuns
from trunkline_router.handlers.family import Family
from trunkline_router.handlers.instance_effects import InstanceEffects
from trunkline_router.model import Cue, Task
from trunkline_router.ports import DueTask, Places, Queue, Timers, Told

KEPT_S: Final = 3600.0
"""Seconds for which released work outlives the deadline of its task, whose clock may stand still meanwhile."""
STOP_WITHIN = timedelta(seconds=20)
"""Longer than a runner that was just killed needs to come back and confirm the stop itself."""
RELEASES: Final = (TaskAssigned, TaskReleased, TaskPlaceGiven)
"""With these it may be that hands are wanted now."""
ACTED_ON: Final = (
    TaskSubmitted, TaskGoesOn, TaskSlaBreached, TaskDelayed, TaskRetryScheduled, TaskStopRequested, TaskLeased, *RELEASES, *LEASE_ENDS
)  # fmt: skip
"""Nothing follows from the others."""


class Beyond(NamedTuple):
    """What is done about agents elsewhere."""

    instances: InstanceEffects
    told: Told
    places: Places
    runs: AgentRuns


class TaskEffects:
    def __init__(
        self,
        actor: Actor[Task, tuple[Cue, datetime]],
        queue: Queue,
        timers: Timers,
        family: Family,
        beyond: Beyond,
    ) -> None:
        self._actor = actor
        self._queue = queue
        self._timers = timers
        self._family = family
        self._instances, self._told, self._places, self._runs = beyond

    async def on(self, stored: Stored) -> None:
        names = subjects.parse_event(stored.subject)
        due = DueTask(tenant=names.tenant, task=names.task)
        record = stored.record
        if _releases(record):  # what lets the work begin does not wait for an alarm
            await self._release(due, stored)
        for fact in record.facts:
            await self._act(due, fact, record.at, stored)
        if any(isinstance(fact, LEASE_ENDS) for fact in record.facts):
            self._runs.ended(due, await self._actor.state(stored.subject, stored.seq), record.at, record.facts)
        for fact in record.facts:
            if isinstance(fact, TaskSubmitted):
                await self._submitted(due, fact, held=any(isinstance(other, TaskHeld) for other in record.facts))

    async def _act(self, due: DueTask, fact: Fact, at: datetime, stored: Stored) -> None:
        match fact:
            case TaskReleased() | TaskGoesOn():
                await self._timers.deadline(due, fact.deadline_at)
            case TaskSlaBreached():
                await self._breached(due, stored)
            case TaskDelayed():
                await self._timers.retry(due.model_copy(update={"attempt": 1}), fact.until)
            case TaskRetryScheduled():
                await self._timers.retry(due.model_copy(update={"attempt": fact.attempt}), fact.due_at)
            case TaskStopRequested():
                await self._timers.stop(due, at + STOP_WITHIN)
                await self._tell(due, fact, stored)
            case TaskLeased():
                await self._timers.lease(due.model_copy(update={"lease": fact.lease, "at": fact.until}), fact.until)
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
        elif self._places.concern(due, task.assignment):
            await self._places.leave(due)
        if isinstance(fact, TaskCancelled):
            await self._family.dissolved(due, task.children)

    async def _tell(self, due: DueTask, fact: TaskStopRequested, stored: Stored) -> None:
        """Whoever has the lease; should it not hear this, its next beat says so too."""
        task = await self._actor.state(stored.subject, stored.seq)
        if task and task.lease:
            body = Stopping(task_id=due.task, lease=task.lease.id, cause=fact.cause, by=fact.by, reason=fact.reason)
            await self._told.put(TenantId(due.tenant), task.lease.by, STOP, body)

    async def _release(self, due: DueTask, stored: Stored) -> None:
        """Put what is assigned, and not held, before the hands of ours, or of agents on the bus."""
        task = await self._actor.state(stored.subject, stored.seq)
        if task is None or task.status is not TaskStatus.ASSIGNED or task.hold or task.lease:
            return
        if task.assignment.executor is Executor.CALLBACK:  # its agent is there already
            return
        if task.calls_home:  # the relay starts its workflow, by the same fact
            await self._instances.begin(due)
            return
        asked = task.assignment
        if self._places.concern(due, asked) and not await self._places.enter(due, asked):
            return  # another's end, or other caps, will let it begin
        item = WorkItem(
            tenant=due.tenant, task=due.task, attempt=task.attempt, pool=asked.pool, priority=asked.priority.value, round=task.given_back
        )
        left = max((task.deadline_at - stored.record.at).total_seconds(), 0) + KEPT_S
        # Agents that find their tasks by REST take nothing out of the queue: what they did must not lie there for ever.
        await self._queue.put(item, left if task.elsewhere else None)
        faultpoint("accepted.after_record")


def _releases(record: Record) -> bool:
    return any(isinstance(fact, RELEASES) for fact in record.facts)
