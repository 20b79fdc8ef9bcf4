"""Schedules as they lie in their stream: the newest record of each says how it stands."""

from __future__ import annotations

from typing import Final

from trunkline.bus import Ledger
from trunkline.contracts import subjects
from trunkline.contracts.ids import TenantId
from trunkline.contracts.schedule import Schedule
from trunkline.runtime.ids import new_id

FORGOTTEN_S: Final = 3600
"""Seconds for which it is known of a deleted one that it was there."""


class ScheduleShelf:
    """ports.Shelf."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def start(self) -> None:
        await self._ledger.start()

    async def load(self, tenant: str, schedule_id: str) -> tuple[Schedule | None, int]:
        stored = await self._ledger.last(subjects.schedule(TenantId(tenant), schedule_id))
        return (Schedule.model_validate_json(stored.body), stored.seq) if stored else (None, 0)

    async def all(self, tenant: str | None = None) -> list[tuple[Schedule, int]]:
        which = subjects.schedules_of(TenantId(tenant)) if tenant else subjects.ALL_SCHEDULES
        found = [(Schedule.model_validate_json(stored.body), stored.seq) async for stored in self._ledger.read(which, 1)]
        return [(schedule, seq) for schedule, seq in found if not schedule.deleted]

    async def store(self, schedule: Schedule, expect: int) -> int:
        where = subjects.schedule(TenantId(schedule.tenant), schedule.schedule_id)
        ttl_s = FORGOTTEN_S if schedule.deleted else None
        return await self._ledger.append(where, schedule.written(), expect=expect, id=new_id(), ttl_s=ttl_s)
