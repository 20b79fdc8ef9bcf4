"""The timelines of tasks as the bus gives them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from trunkline.bus import Bus
from trunkline.contracts import subjects
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.record import Event, Gap
from trunkline.contracts.task import ENDS
from trunkline_gateway.ports import Timeline


@dataclass(frozen=True, slots=True)
class BusFeed:
    bus: Bus

    async def find(self, tenant: TenantId, task: TaskId) -> Timeline | None:
        newest = await self.bus.log.last(subjects.event(tenant, task, "task"))
        if newest is None:
            return None
        over = any(isinstance(fact, ENDS) for fact in newest.record.facts)
        return Timeline(tenant, task, newest.seq if over else None)

    def follow(self, timeline: Timeline, after: Cursor | None) -> AsyncIterator[Event | Gap]:
        return self.bus.live.follow(timeline.tenant, timeline.task, after, timeline.end)
