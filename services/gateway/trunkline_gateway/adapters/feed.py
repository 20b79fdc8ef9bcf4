"""The timelines of tasks as the bus gives them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from trunkline.bus import Bus
from trunkline.bus.direct import Stored
from trunkline.contracts import subjects
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.record import Event, Gap
from trunkline.contracts.task import ENDS, TaskSubmitted
from trunkline_gateway.ports import Passage, Timeline


@dataclass(frozen=True, slots=True)
class BusFeed:
    bus: Bus

    async def find(self, tenant: TenantId, task: TaskId) -> Timeline | None:
        newest = await self.bus.log.last(subjects.event(tenant, task, subjects.TASK))
        if newest is None:
            return None
        over = any(isinstance(fact, ENDS) for fact in newest.record.facts)
        return Timeline(tenant, task, newest.seq if over else None)

    def follow(self, timeline: Timeline, after: Cursor | None) -> AsyncIterator[Event | Gap]:
        return self.bus.live.follow(timeline.tenant, timeline.task, after, timeline.end)

    def recent(self, timeline: Timeline, after: Cursor | None) -> AsyncIterator[Event | Gap]:
        return self.bus.live.recent(timeline.tenant, timeline.task, after)

    async def submission(self, tenant: TenantId, task: TaskId) -> TaskSubmitted | None:
        oldest = await self.bus.log.first(subjects.event(tenant, task, subjects.TASK))
        made = [fact for fact in oldest.record.facts if isinstance(fact, TaskSubmitted)] if oldest else []
        return made[0] if made else None

    async def run(self, tenant: TenantId, task: TaskId) -> tuple[Event, ...]:
        loaded = await self.bus.log.load(subjects.event(tenant, task, "run"))
        return tuple(event for stored in loaded.records for event in self.bus.live.events(stored))

    async def follow_all(self, tenant: TenantId, after: Cursor) -> AsyncIterator[Passage]:
        async for stored in self.bus.live.stored(subjects.everything_of(tenant), after.seq):
            yield self._passage(stored)

    async def all_recent(self, tenant: TenantId, after: Cursor) -> AsyncIterator[Passage]:
        async for stored in self.bus.live.already(subjects.everything_of(tenant), after.seq):
            yield self._passage(stored)

    async def newest(self) -> Cursor:
        return Cursor(self.bus.epoch, await self.bus.log.last_seq())

    async def before(self, moment: datetime) -> Cursor:
        return Cursor(self.bus.epoch, await self.bus.live.last_before(moment))

    def _passage(self, stored: Stored) -> Passage:
        _, task, part = subjects.parse_event(stored.subject)
        return Passage(task, part, Cursor(self.bus.epoch, stored.seq), lambda: self.bus.live.events(stored))

    async def page(self, timeline: Timeline, after: Cursor | None, limit: int) -> tuple[tuple[Event | Gap, ...], bool]:
        return await self.bus.live.page(timeline.tenant, timeline.task, after, limit)
