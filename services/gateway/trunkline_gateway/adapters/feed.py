"""The timelines of tasks as the bus gives them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from trunkline.bus import Bus
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.record import Event, Gap


@dataclass(frozen=True, slots=True)
class BusFeed:
    bus: Bus

    def follow(self, tenant: TenantId, task: TaskId, after: Cursor | None, end: int | None) -> AsyncIterator[Event | Gap]:
        return self.bus.live.follow(tenant, task, after, end)
