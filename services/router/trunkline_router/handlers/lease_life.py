"""Agents that hold tasks: they beat, they report, and where they fall silent the lease is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from trunkline.contracts.agent import MOST_RESULT, Beat, Beaten, Held, Pulse, Report, Stop, Word
from trunkline.contracts.errors import TooLarge
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Accepted
from trunkline.contracts.subjects import AgentCall
from trunkline.contracts.task import Moved
from trunkline.runtime.actor import Actor
from trunkline.runtime.faults import faultpoint
from trunkline_router.handlers.agent_bodies import accepted, size
from trunkline_router.handlers.agent_says import AgentSays
from trunkline_router.handlers.agent_struck import clean
from trunkline_router.handlers.lease_claims import Untold
from trunkline_router.handlers.lease_reading import Leases, due_of
from trunkline_router.model import AgentReports, Cue, LeaseSilent, Task
from trunkline_router.ports import Beats, DueTask, Timers

AT_ONCE: Final = 16
LATE: Final = timedelta(seconds=5)
"""An alarm that rings so much later tells that the bus was away, when nobody could beat."""


class AgentReporting:
    def __init__(self, actor: Actor[Task, tuple[Cue, datetime]], leases: Leases, says: AgentSays, now: Callable[[], datetime]) -> None:
        self._actor = actor
        self._leases = leases
        self._says = says
        self._now = now

    async def report(self, call: AgentCall, wish: Report) -> Accepted:
        """What was said last is stored first. Raises NotFound, Conflict, TooLarge, Exhausted."""
        wish = clean(wish)
        if size(wish.result) > MOST_RESULT:
            raise TooLarge(f"a result has at most {MOST_RESULT} bytes; leave it elsewhere and tell where", code="RESULT_TOO_LARGE")
        now = self._now()
        await self._leases.traced(call, wish)
        if wish.said:
            await self._says.said_with(call, wish)
        faultpoint("agent_report.before_effect")
        decided = await self._actor.receive(due_of(call, wish.task_id).subject, (AgentReports(wish, call.name), now), now, cause="report")
        faultpoint("agent_report.after_effect")
        assert decided.state is not None
        return accepted(Moved(status=decided.state.status), decided.seq)


class Pulses:
    """Beats are no facts: the last of each task is kept in memory at nats-server, and the answer is read from the log."""

    def __init__(self, leases: Leases, beats: Beats, untold: Untold, now: Callable[[], datetime]) -> None:
        self._leases = leases
        self._beats = beats
        self._untold = untold
        self._now = now

    async def beat(self, call: AgentCall, wish: Beat) -> Accepted:
        """Raises Unavailable."""
        hands = asyncio.Semaphore(AT_ONCE)

        async def one(held: Held) -> Pulse:
            async with hands:
                return await self._pulse(call, held)

        try:
            async with asyncio.TaskGroup() as group:
                pulses = [group.create_task(one(held)) for held in wish.leases]
        except ExceptionGroup as several:
            raise several.exceptions[0] from None  # as it would be for one lease alone
        return accepted(Beaten(leases=tuple(pulse.result() for pulse in pulses), lease_s=self._leases.lasts.total_seconds()))

    async def _pulse(self, call: AgentCall, held: Held) -> Pulse:
        self._untold.known(held.lease)
        found = await self._leases.standing(due_of(call, held.task_id))
        lease = found.task.lease if found else None
        if found is None or lease is None or (lease.id, lease.by) != (held.lease, call.name):
            return Pulse(task_id=held.task_id, lease=held.lease, word=Word.LOST)
        now = self._now()
        await self._beats.put(call.tenant, TaskId(held.task_id), now)
        asked = found.task.stop
        stop = Stop(cause=asked.cause, by=asked.by, reason=asked.reason) if asked else None
        word, until = (Word.STOP if stop else Word.GOING), now + self._leases.lasts
        return Pulse(task_id=held.task_id, lease=held.lease, word=word, until=until, stop=stop)


class LeaseClock:
    """One chain of alarms for each lease: each look sets the next, until the lease is over."""

    def __init__(
        self, actor: Actor[Task, tuple[Cue, datetime]], leases: Leases, beats: Beats, timers: Timers, now: Callable[[], datetime]
    ) -> None:
        self._actor = actor
        self._leases = leases
        self._beats = beats
        self._timers = timers
        self._now = now

    async def due(self, due: DueTask) -> None:
        """Raises Unavailable."""
        found = await self._leases.standing(due)
        lease = found.task.lease if found else None
        if lease is None or lease.id != due.lease:
            return
        now = self._now()
        sign = await self._beats.last(TenantId(due.tenant), TaskId(due.task))
        heard = max(lease.at, sign) if sign else lease.at
        if heard + self._leases.lasts > now:
            await self._again(due, heard + self._leases.lasts, blind=False)
        elif not due.blind and (sign is None or (due.at and now - due.at > LATE)):
            # nats-server forgot the beats, or none could come: that is nobody's silence.
            await self._again(due, now + self._leases.lasts, blind=True)
        else:
            ever = sign is not None and sign > lease.at  # with the lease one is kept in the agent's name
            await self._actor.receive(due.subject, (LeaseSilent(lease.id, ever), now), now, cause="silence")

    async def _again(self, due: DueTask, at: datetime, *, blind: bool) -> None:
        await self._timers.lease(due.model_copy(update={"blind": blind, "at": at}), at)
