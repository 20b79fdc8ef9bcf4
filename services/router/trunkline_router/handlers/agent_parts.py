"""Agents on NATS make tasks of their own, tell everybody about something, and look at what happens to a task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from datetime import datetime
from hashlib import sha256
from typing import Final, cast

import orjson

from trunkline.auth.policy import sees
from trunkline.auth.principal import Principal, Role
from trunkline.bus import Live
from trunkline.contracts.agent import Follow, Followed, Happened, Publish, Submit, SubmittedPart
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import NotFound
from trunkline.contracts.ids import TaskId
from trunkline.contracts.lease import TaskLeased, TaskLeaseOver
from trunkline.contracts.message import Accepted
from trunkline.contracts.record import Event, Gap
from trunkline.contracts.subjects import AgentCall
from trunkline.contracts.task import Assignment, EventPublished, Executor, PublishEvent, SubmitTask, Submitted
from trunkline.telemetry.traces import named, turns_out
from trunkline_router.handlers.agent_bodies import accepted
from trunkline_router.handlers.agent_pace import AgentPace
from trunkline_router.handlers.agent_runs import run_in
from trunkline_router.handlers.agent_struck import clean
from trunkline_router.handlers.lease_reading import Leases, due_of
from trunkline_router.handlers.publish_event import PublishedEvents
from trunkline_router.handlers.task_life import TaskLife
from trunkline_router.model import Task

SURFACE: Final = "nats"
MOST_BYTES: Final = 512 << 10
"""Of one answer: the next question goes on behind it."""
AT_MOST: Final = 5.0
"""Seconds for reading what is there, by whoever waits for nothing."""
MORE: Final = 0.02
"""Seconds for which a follower waits for more, once it has something."""


Made = tuple[TaskLife, PublishedEvents]
"""Who makes tasks, and who tells everybody."""


class AgentParts:
    def __init__(self, made: Made, leases: Leases, live: Live, pace: AgentPace, now: Callable[[], datetime]) -> None:
        self._life, self._events = made
        self._leases = leases
        self._live = live
        self._pace = pace
        self._now = now

    async def submit(self, call: AgentCall, wish: Submit) -> Accepted:
        """Raises NotFound, Conflict, Invalid, Exhausted, Unavailable."""
        found, _ = await self._leases.held(call, wish)
        await self._pace.count(call, f"{wish.task_id}/{wish.id}")
        task_id = _name(call.tenant, wish.task_id, wish.id)
        command = SubmitTask(
            tenant=call.tenant,
            at=self._now(),
            task_id=task_id,
            assignment=_assignment(call, clean(wish)),
            submitted_by=call.name,
            trace_id=found.task.trace_id or named(None, task_id),
        )
        made = Submitted.model_validate((answer := await self._life.submit(command)).body)
        return accepted(SubmittedPart(task_id=task_id, pool=made.pool, status=made.status.value), answer.seq)

    async def publish(self, call: AgentCall, wish: Publish) -> Accepted:
        """Raises NotFound, Exhausted, Unavailable."""
        if wish.task_id is not None:
            await self._seen(call, wish.task_id)
        await self._pace.count(call, wish.event_id)
        said = clean(wish).model_dump(include={"event_type", "source", "payload", "trace_id"})
        event = EventPublished.model_validate({**said, "by": call.name, "priority": wish.priority or ""})
        named = _name(call.name, wish.event_id)
        return await self._events.publish(
            PublishEvent(tenant=call.tenant, at=self._now(), event_id=named, task_id=wish.task_id, event=event)
        )

    async def follow(self, call: AgentCall, wish: Follow) -> Accepted:
        """Raises NotFound, Invalid, Unavailable."""
        await self._seen(call, wish.task_id)
        after = Cursor.parse(wish.after) if wish.after else None
        read = self._live.follow if wish.wait_s else self._live.recent
        events = cast(AsyncGenerator[Event | Gap, None], read(call.tenant, TaskId(wish.task_id), after))
        found: list[Event | Gap] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(wish.wait_s or AT_MOST) as wait, aclosing(events):
                await _read(events, wish.most, found, wait)
        told = tuple(_happened(event) for event in found if isinstance(event, Event))
        return accepted(Followed(events=told, cursor=told[-1].cursor if told else wish.after, gap=len(told) < len(found)))

    async def _seen(self, call: AgentCall, task_id: str) -> Task:
        """What it may look at: as an agent on any other surface, and what it has in hand."""
        found = await self._leases.standing(due_of(call, task_id))
        if found is None or not _may_see(call, found.task):
            raise NotFound("there is no such task", code="NO_SUCH_TASK")
        if (lease := found.task.lease) and lease.by == call.name:
            turns_out(run_in(lease.trace, lease.id), call.tenant, task_id, call.name)
        return found.task


async def _read(events: AsyncIterator[Event | Gap], most: int, found: list[Event | Gap], wait: asyncio.Timeout) -> None:
    """Into `found`, until there are enough of them, or nothing more comes for a moment."""
    size, loop = 0, asyncio.get_running_loop()
    async for event in events:
        found.append(event)
        size += len(event.fact.written()) if isinstance(event, Event) else 0
        if len(found) >= most or size > MOST_BYTES:
            return
        wait.reschedule(loop.time() + MORE)


def _may_see(call: AgentCall, task: Task) -> bool:
    holds = task.lease is not None and task.lease.by == call.name
    return holds or sees(Principal(call.tenant, call.name, Role.AGENT), task.submitted_by, task.assignment.visibility)


def _happened(event: Event) -> Happened:
    fact = orjson.loads(event.fact.written())
    if isinstance(event.fact, TaskLeased | TaskLeaseOver):  # a fence is nobody's business but its holder's
        fact.pop("lease")
    return Happened(cursor=str(event.cursor), at=event.at, part=event.part, fact=fact)


def _assignment(call: AgentCall, wish: Submit) -> Assignment:
    asked = wish.model_dump(include={"type", "payload", "metadata", "prompt", "repo", "branch", "priority", "max_retries", "deadline_s"})
    return Assignment(**asked, parent=wish.task_id, source=call.name, surface=SURFACE, executor=Executor.BUS)


def _name(*of: str) -> str:
    """One name for what an agent named itself, which nobody else's can be."""
    return sha256("/".join(of).encode()).hexdigest()[:32]
