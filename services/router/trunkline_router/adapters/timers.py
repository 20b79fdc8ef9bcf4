"""The router's alarms on the bus."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256

from trunkline.bus import Timers
from trunkline_router.ports import DueTask


class BusTimers:
    def __init__(self, timers: Timers) -> None:
        self._timers = timers

    async def deadline(self, due: DueTask, at: datetime) -> None:
        await self._timers.set("deadline", _name(due), at, ("router", "deadline"), due)

    async def sla(self, due: DueTask, at: datetime) -> None:
        await self._timers.set("sla", _name(due), at, ("router", "sla"), due)

    async def retry(self, due: DueTask, at: datetime) -> None:
        # Each attempt has one of its own: the effect of an old one, repeated late, must not take the place of the one that counts.
        await self._timers.set("retry", _name(due, due.attempt), at, ("router", "retry"), due)

    async def stop(self, due: DueTask, at: datetime) -> None:
        await self._timers.set("stop", _name(due), at, ("router", "stop"), due)

    async def forget(self, due: DueTask, *, sla: bool) -> None:
        # The other two fire within minutes and are refused by the fold; only these may lie there for long.
        await self._timers.cancel("deadline", _name(due))
        if sla:
            await self._timers.cancel("sla", _name(due))


def _name(due: DueTask, *which: int) -> str:
    """One name for a task of a tenant, short enough whatever theirs are."""
    return sha256("/".join((due.tenant, due.task, *map(str, which))).encode()).hexdigest()[:32]
