"""A stop that nobody confirmed in time: either nobody runs the task any more, or the run is past the point of return."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from trunkline.bus import Log
from trunkline.contracts import subjects
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Fact
from trunkline.contracts.run import ChangesCommitted, RunFailed, RunGoesOn, RunStopped, RunSucceeded, RunWaits, Wait
from trunkline_router.handlers.task_effects import STOP_WITHIN
from trunkline_router.handlers.task_life import TaskLife
from trunkline_router.model import StopOverdue
from trunkline_router.ports import DueTask, Timers


class OverdueStop:
    def __init__(self, life: TaskLife, log: Log, timers: Timers, now: Callable[[], datetime]) -> None:
        self._life = life
        self._log = log
        self._timers = timers
        self._now = now

    async def on(self, due: DueTask) -> None:
        """End the task, unless its run may be pushing at this moment: then wait for the run's own word."""
        run = await self._log.load(subjects.event(TenantId(due.tenant), TaskId(due.task), "run"))
        if publishing([fact for stored in run.records for fact in stored.record.facts]):
            await self._timers.stop(due, self._now() + STOP_WITHIN)
        else:
            await self._life.happened(due, StopOverdue())


def publishing(facts: list[Fact]) -> bool:
    """Whether the last attempt has committed its changes and not ended: its branch may be in the world already.

    One that waits to be allowed to push has not pushed.
    """
    committed = asks = False
    for fact in facts:
        match fact:
            case ChangesCommitted():
                committed = True
            case RunWaits(why=Wait.PUSH | Wait.PULL_REQUESTS):
                asks = True
            case RunGoesOn():
                asks = False
            case RunSucceeded() | RunFailed() | RunStopped():
                committed = asks = False
            case _:
                pass
    return committed and not asks
