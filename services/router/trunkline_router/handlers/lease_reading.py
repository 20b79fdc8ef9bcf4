"""How a task stands at this moment, for whoever comes with a lease: what is remembered may be older than a takeover."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from trunkline.bus import Log
from trunkline.contracts.agent import Held
from trunkline.contracts.errors import NotFound
from trunkline.contracts.subjects import AgentCall
from trunkline.runtime.actor import Actor
from trunkline.telemetry.traces import turns_out
from trunkline_router.handlers.agent_runs import run_in
from trunkline_router.model import Cue, Lease, Task, held_by
from trunkline_router.ports import DueTask


class Standing(NamedTuple):
    """`seq` is where the newest fact of the task lay that is surely in it."""

    task: Task
    seq: int


class Leases:
    def __init__(self, actor: Actor[Task, tuple[Cue, datetime]], log: Log, lasts: timedelta) -> None:
        """`lasts`: for how long nothing may be heard of whoever has a lease."""
        self._actor = actor
        self._log = log
        self.lasts = lasts

    async def standing(self, due: DueTask) -> Standing | None:
        """None: there is no such task. Raises Unavailable."""
        last = await self._log.last(due.subject)
        task = await self._actor.state(due.subject, last.seq) if last else None
        return Standing(task, last.seq) if last and task else None

    async def traced(self, call: AgentCall, held: Held) -> None:
        """What is under way is found to be a part of what is done under that lease. Raises Unavailable."""
        due = due_of(call, held.task_id)
        task = await self._actor.state(due.subject, 1)
        if task and (task.lease is None or task.lease.id != held.lease):  # another replica may have given it
            task = found.task if (found := await self.standing(due)) else None
        if task and task.lease and task.lease.id == held.lease:
            turns_out(run_in(task.lease.trace, held.lease), call.tenant, held.task_id, call.name)

    async def held(self, call: AgentCall, held: Held, *, fenced: bool = False) -> tuple[Standing, Lease]:
        """`fenced`: for a write that nobody takes should the task have moved; what is remembered is good enough for that.

        Raises NotFound, Conflict (LEASE_LOST), Unavailable.
        """
        due = due_of(call, held.task_id)
        found = self._remembered(due, held) if fenced else None
        found = found or await self.standing(due)
        if found is None:
            raise NotFound("there is no such task", code="NO_SUCH_TASK")
        lease = held_by(found.task, held.lease, call.name)
        turns_out(run_in(lease.trace, lease.id), call.tenant, held.task_id, call.name)
        return found, lease

    def _remembered(self, due: DueTask, held: Held) -> Standing | None:
        """None where what is remembered does not have it in those hands."""
        task, seq = self._actor.remembered(due.subject)
        return Standing(task, seq) if task and task.lease and task.lease.id == held.lease else None


def due_of(call: AgentCall, task: str) -> DueTask:
    return DueTask(tenant=call.tenant, task=task)
