"""Puts the router together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from trunkline.bus import connect
from trunkline.contracts.message import Fact
from trunkline.contracts.work_types import canonical
from trunkline.runtime.actor import Actor
from trunkline.runtime.clock import now
from trunkline_router.adapters.timers import BusTimers
from trunkline_router.handlers.deadlines import Deadlines
from trunkline_router.handlers.dispatch_news import DispatchNews
from trunkline_router.handlers.family import Family
from trunkline_router.handlers.hold_news import HoldNews
from trunkline_router.handlers.instance_clock import InstanceClock, Limits
from trunkline_router.handlers.instance_effects import InstanceEffects
from trunkline_router.handlers.instance_news import InstanceNews
from trunkline_router.handlers.instance_tasks import InstanceTasks
from trunkline_router.handlers.instances import Instances
from trunkline_router.handlers.publish_event import PublishedEvents
from trunkline_router.handlers.pull_requests import PullRequestNews
from trunkline_router.handlers.run_news import RunNews
from trunkline_router.handlers.stop_overdue import OverdueStop
from trunkline_router.handlers.task_effects import TaskEffects
from trunkline_router.handlers.task_life import TaskLife
from trunkline_router.handlers.waits import Waits
from trunkline_router.model import Cue, Gate, Route, Rules, Task, decide, evolve, instance, instance_life
from trunkline_router.model.instance import Instance
from trunkline_router.model.instance_cues import InstanceCue
from trunkline_router.settings import GateSetting, Settings
from trunkline_router.subscriptions import Ear, Handlers, subscribe, subscribe_instances


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[None]:
    """A router that hears; leaving it stops hearing and finishes what was begun."""
    rules = rules_of(settings)

    def deciding(task: Task | None, cue: tuple[Cue, datetime]) -> list[Fact]:
        return decide(task, *cue, rules)

    async with connect(settings, "router") as bus:
        actor: Actor[Task, tuple[Cue, datetime]] = Actor(bus.log, deciding, evolve)
        timers = BusTimers(bus.timers, now)
        life = TaskLife(actor, bus.log, now)
        waits = Waits(actor, life, bus.log)
        instances: Actor[Instance, InstanceCue] = Actor(bus.log, instance_life.decide, instance.evolve)
        tasks = InstanceTasks(life, actor, bus.log)
        handlers = Handlers(
            life=life,
            effects=TaskEffects(actor, bus.work, timers, Family(life), InstanceEffects(instances, tasks, now)),
            runs=RunNews(life, waits),
            holds=HoldNews(life, bus.log),
            overdue=OverdueStop(life, bus.log, timers, now),
            events=PublishedEvents(bus.log),
            deadlines=Deadlines(life, waits, timers, now),
            pulls=PullRequestNews(bus.log, timers, now),
        )
        subscribe(bus.inlet, handlers)
        door = Instances(instances, tasks, bus.log, timedelta(seconds=settings.instance_repeat_s))
        limits = Limits(timedelta(seconds=settings.instance_stale_s), timedelta(seconds=settings.instance_lost_s))
        clock = InstanceClock(instances, bus.beats, timers, now, limits)
        subscribe_instances(bus.inlet, door, Ear(InstanceNews(life, tasks, clock), DispatchNews(life), clock))
        await bus.inlet.start("router")
        yield


def rules_of(settings: Settings) -> Rules:
    """The settings as the model thinks with them; words of older clients count as what they mean."""
    return Rules(
        routes={canonical(kind): Route(route.pool, route.executor) for kind, route in settings.routes.items()},
        gates=tuple(map(_gate, settings.gates)),
        agent_deadline_s=settings.agent_deadline_s,
        surfaces=settings.surfaces,
    )


def _gate(setting: GateSetting) -> Gate:
    types = frozenset(map(canonical, setting.types))
    return Gate(setting.reason, types, frozenset(setting.priorities), setting.payload, setting.metadata)
