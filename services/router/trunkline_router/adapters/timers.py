"""The router's alarms on the bus."""

from __future__ import annotations

from datetime import datetime

from trunkline.bus import Timers
from trunkline_router.ports import DueTask


class BusTimers:
    def __init__(self, timers: Timers) -> None:
        self._timers = timers

    async def deadline(self, due: DueTask, at: datetime) -> None:
        await self._timers.set("deadline", due.task, at, ("router", "deadline"), due)

    async def retry(self, due: DueTask, at: datetime) -> None:
        await self._timers.set("retry", due.task, at, ("router", "retry"), due)

    async def stop(self, due: DueTask, at: datetime) -> None:
        await self._timers.set("stop", due.task, at, ("router", "stop"), due)

    async def forget(self, task: str) -> None:
        # The other two fire within minutes and are refused by the fold; only a deadline may lie there for long.
        await self._timers.cancel("deadline", task)
