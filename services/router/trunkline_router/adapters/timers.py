"""The router's alarms on the bus."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256

from trunkline.bus import Timers
from trunkline_router.adapters.alarms import Alarms
from trunkline_router.ports import DuePull, DueRoom, DueSchedule, DueTask


class BusTimers:
    """Every task has an alarm that is far away, and hardly any of these rings; the others are few, and exact."""

    def __init__(self, timers: Timers, now: Callable[[], datetime]) -> None:
        self._timers = timers
        self._deadlines = Alarms(timers, "deadline", now)
        self._promises = Alarms(timers, "sla", now)
        self._silences = Alarms(timers, "instance", now)
        # A second more or less is nothing to a lease, and each task in an agent's hands has one.
        self._leases = Alarms(timers, "lease", now, timedelta(0))

    async def deadline(self, due: DueTask, at: datetime) -> None:
        await self._deadlines.set(due, at)

    async def sla(self, due: DueTask, at: datetime) -> None:
        await self._promises.set(due, at)

    async def instance(self, due: DueTask, at: datetime) -> None:
        await self._silences.set(due, at)

    async def lease(self, due: DueTask, at: datetime) -> None:
        await self._leases.set(due, at)

    async def retry(self, due: DueTask, at: datetime) -> None:
        # Of one attempt: set again late, as the effect of a fact may be, it must not take the place of the next one's.
        await self._timers.set("retry", _name(due, str(due.attempt)), at, ("router", "retry"), due)

    async def stop(self, due: DueTask, at: datetime) -> None:
        await self._timers.set("stop", _name(due), at, ("router", "stop"), due)

    async def place(self, due: DueRoom, at: datetime) -> None:
        """By the minute: all who wait there set the same."""
        minute = at.replace(second=0, microsecond=0) + timedelta(minutes=1)
        await self._timers.set("place", due.tenant, minute, ("router", "place"), due)

    async def schedule(self, due: DueSchedule, seq: int) -> None:
        # Of one record: set again late, it must not take the place of the newer one's.
        name = _name(DueTask(tenant=due.tenant, task=due.schedule), f"schedule/{seq}")
        await self._timers.set("schedule", name, due.at, ("router", "schedule"), due)

    async def pull(self, due: DuePull, at: datetime) -> None:
        wish = due.wish
        name = _name(DueTask(tenant=wish.tenant, task=wish.task_id), f"{wish.delivery}/{due.tries}")
        await self._timers.set("pull", name, at, ("router", "pull"), due)


def _name(due: DueTask, part: str = "") -> str:
    """One name for a task of a tenant, short enough whatever theirs are."""
    return sha256(f"{due.tenant}/{due.task}/{part}".encode()).hexdigest()[:32]
