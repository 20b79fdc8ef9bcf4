"""Tells one reader what happens to an agent elsewhere: what is said, how it stands, and that it lives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from trunkline.auth.principal import Principal
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import DomainError
from trunkline.contracts.ids import TaskId
from trunkline.contracts.instance import InstanceMoved
from trunkline.contracts.record import Event, Gap
from trunkline.contracts.subjects import INSTANCE
from trunkline.contracts.task import ENDS, HOME_EXECUTORS
from trunkline_gateway.ports import Beats, Feed, Happenings, Timeline
from trunkline_gateway.usecases.instances import Instances, missing

HEARTBEAT_S: Final = 30.0
LAST: Final = 9999
"""An index behind every fact of a record."""
WAITING: Final = 64
"""Items that wait for a reader; then the log waits, and signs of life are passed over."""


@dataclass(frozen=True, slots=True)
class Beat:
    """The agent was alive."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Tick:
    """Nothing happened for a while, and the stream is still there."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the stream ends before its task."""

    error: DomainError


Heard = Event | Gap | Beat | Tick | Failure
"""Events of the instance, and the end of its task where that came first: what ends then is ended by it."""
Say = Callable[[Heard], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class InstanceStream:
    """`heartbeat_s`: seconds between two ticks."""

    instances: Instances
    feed: Feed
    log: Happenings
    beats: Beats
    heartbeat_s: float = HEARTBEAT_S

    async def timeline(self, principal: Principal, task: TaskId) -> Timeline:
        """Raises NotFound, also for a task without an instance."""
        await self.instances.check_seen(principal, task)
        found = await self.feed.find(principal.tenant, task)
        made = await self.feed.submission(principal.tenant, task) if found else None
        if found is None or made is None or made.assignment.executor not in HOME_EXECUTORS:
            raise missing()
        return found

    async def newest(self) -> Cursor:
        """Behind it everything is new."""
        found = await self.log.newest()
        return Cursor(found.epoch, found.seq, LAST)

    async def tell(self, timeline: Timeline, after: Cursor | None, say: Say) -> None:
        """Everything beyond `after`, all there is for None, up to the task's end; returns when that was said, or after a Failure."""
        heard: asyncio.Queue[Heard | None] = asyncio.Queue(WAITING)
        gone: ConnectionResetError | None = None

        def beat(at: datetime) -> None:
            if not heard.full():
                heard.put_nowait(Beat(at))

        async with self.beats.heard(timeline.tenant, timeline.task, beat), asyncio.TaskGroup() as group:
            follower = group.create_task(self._follow(timeline, after, heard))
            try:
                await self._said(heard, say)
            except ConnectionResetError as left:  # a group would wrap it
                gone = left
            finally:
                follower.cancel()
        if gone:
            raise gone

    async def _follow(self, timeline: Timeline, after: Cursor | None, heard: asyncio.Queue[Heard | None]) -> None:
        try:
            over, end = await self._pass_on(timeline, after, heard)
            if not over and end and not (after and await self.instances.over_before(timeline.tenant, timeline.task, end.at)):
                await heard.put(end)
        except DomainError as error:
            await heard.put(Failure(error))
        await heard.put(None)

    async def _pass_on(self, timeline: Timeline, after: Cursor | None, heard: asyncio.Queue[Heard | None]) -> tuple[bool, Event | None]:
        """Whether the instance was said to be over, and the end of its task."""
        over = False
        async with aclosing(cast(AsyncGenerator[Event | Gap, None], self.feed.follow(timeline, after))) as happened:
            async for item in happened:
                if isinstance(item, Event) and isinstance(item.fact, ENDS):
                    return over, item
                if isinstance(item, Gap) or item.part == INSTANCE:
                    await heard.put(item)
                    over = over or _ends(item)
        return over, None

    async def _said(self, heard: asyncio.Queue[Heard | None], say: Say) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self.heartbeat_s
        while True:
            try:
                async with asyncio.timeout_at(due):
                    item = await heard.get()
            except TimeoutError:
                due = loop.time() + self.heartbeat_s
                item = Tick(self.instances.now())
            if item is None:
                return
            await say(item)


def _ends(item: Event | Gap) -> bool:
    return isinstance(item, Event) and isinstance(item.fact, InstanceMoved) and item.fact.status.over
