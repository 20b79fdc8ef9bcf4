"""Puts the router together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from trunkline.bus import connect
from trunkline.contracts.message import Fact
from trunkline.runtime.actor import Actor
from trunkline.runtime.clock import now
from trunkline_router.adapters.timers import BusTimers
from trunkline_router.handlers.stop_overdue import OverdueStop
from trunkline_router.handlers.task_effects import TaskEffects
from trunkline_router.handlers.task_life import TaskLife
from trunkline_router.model import Cue, Task, decide, evolve
from trunkline_router.settings import Settings
from trunkline_router.subscriptions import subscribe


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[None]:
    """A router that hears; leaving it stops hearing and finishes what was begun."""
    async with connect(settings, "router") as bus:
        actor: Actor[Task, tuple[Cue, datetime]] = Actor(bus.log, _decide, evolve)
        timers = BusTimers(bus.timers)
        life = TaskLife(actor, now)
        subscribe(bus.inlet, life, TaskEffects(actor, bus.work, timers), OverdueStop(life, bus.log, timers, now))
        await bus.inlet.start("router")
        yield


def _decide(task: Task | None, cue: tuple[Cue, datetime]) -> list[Fact]:
    return decide(task, *cue)
