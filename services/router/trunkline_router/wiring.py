"""Puts the router together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from trunkline.bus import Bus, connect
from trunkline.bus.streams import SCHEDULES
from trunkline.contracts.message import Fact
from trunkline.contracts.subjects import TASK, events_of_part
from trunkline.contracts.work_types import canonical
from trunkline.runtime.actor import Actor
from trunkline.runtime.clock import now
from trunkline.runtime.health import beside
from trunkline_router.adapters.schedule_shelf import ScheduleShelf
from trunkline_router.adapters.timers import BusTimers
from trunkline_router.handlers.agent_asks import AgentAsking
from trunkline_router.handlers.agent_pace import AgentPace
from trunkline_router.handlers.agent_parts import AgentParts
from trunkline_router.handlers.agent_runs import AgentRuns
from trunkline_router.handlers.agent_says import AgentSays
from trunkline_router.handlers.deadlines import Deadlines
from trunkline_router.handlers.dispatch_news import DispatchNews
from trunkline_router.handlers.family import Family
from trunkline_router.handlers.hold_news import HoldNews
from trunkline_router.handlers.instance_clock import InstanceClock, Limits
from trunkline_router.handlers.instance_effects import InstanceEffects
from trunkline_router.handlers.instance_news import InstanceNews
from trunkline_router.handlers.instance_tasks import InstanceTasks
from trunkline_router.handlers.instances import Instances
from trunkline_router.handlers.lease_claims import Claims
from trunkline_router.handlers.lease_giving import Giver
from trunkline_router.handlers.lease_life import AgentReporting, LeaseClock, Pulses
from trunkline_router.handlers.lease_reading import Leases
from trunkline_router.handlers.publish_event import PublishedEvents
from trunkline_router.handlers.pull_requests import PullRequestNews
from trunkline_router.handlers.room_news import RoomNews
from trunkline_router.handlers.rooms import Rooms
from trunkline_router.handlers.run_news import RunNews
from trunkline_router.handlers.schedules import Schedules, Terms
from trunkline_router.handlers.stop_overdue import OverdueStop
from trunkline_router.handlers.task_effects import Beyond, TaskEffects
from trunkline_router.handlers.task_life import TaskLife
from trunkline_router.handlers.waits import Waits
from trunkline_router.model import Cue, Gate, Route, Rules, Task, decide, evolve, instance, instance_life
from trunkline_router.model.instance import Instance
from trunkline_router.model.instance_cues import InstanceCue
from trunkline_router.model.room import Caps
from trunkline_router.model.routing import routed
from trunkline_router.ports import Timers
from trunkline_router.settings import GateSetting, Settings
from trunkline_router.subscriptions import (
    Agents,
    Ear,
    Handlers,
    subscribe,
    subscribe_calls,
    subscribe_instances,
    subscribe_leases,
    subscribe_rooms,
    subscribe_schedules,
)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[None]:
    """A router that hears; leaving it stops hearing and finishes what was begun."""
    rules = rules_of(settings)

    def deciding(task: Task | None, cue: tuple[Cue, datetime]) -> list[Fact]:
        return decide(task, *cue, rules)

    async with connect(settings, "router", beside(settings, "router")) as bus:
        actor: Actor[Task, tuple[Cue, datetime]] = Actor(bus.log, deciding, evolve)
        await bus.log.overhear(events_of_part(TASK), actor.overhear)  # what other replicas decide need not be loaded
        timers = BusTimers(bus.timers, now)
        life = TaskLife(actor, bus.log, now)
        waits = Waits(actor, life, bus.log)
        instances: Actor[Instance, InstanceCue] = Actor(bus.log, instance_life.decide, instance.evolve)
        tasks = InstanceTasks(life, actor, bus.log)
        rooms = Rooms(bus.log, Caps(settings.wip_tenants, _folded(settings.wip_repositories), settings.wip_agents), now)
        beyond = Beyond(InstanceEffects(instances, tasks, now), bus.told, rooms, AgentRuns(bus.watch.tracer))
        handlers = Handlers(
            life=life,
            effects=TaskEffects(actor, bus.work, timers, Family(life), beyond),
            runs=RunNews(life, waits),
            holds=HoldNews(life, bus.log),
            overdue=OverdueStop(life, bus.log, timers, now),
            events=PublishedEvents(bus.log),
            deadlines=Deadlines(life, waits, timers, now),
            pulls=PullRequestNews(bus.log, timers, now),
        )
        subscribe(bus.inlet, handlers)
        subscribe_rooms(bus.inlet, RoomNews(rooms, life, timers, now))
        terms = Terms(settings.schedules_per_tenant, lambda assignment: routed(assignment, rules), bus.dead.keep)
        schedules = Schedules(shelf := ScheduleShelf(bus.ledger(SCHEDULES)), life, timers, now, terms)
        await shelf.start()
        subscribe_schedules(bus.inlet, schedules)
        door = Instances(instances, tasks, bus.log, timedelta(seconds=settings.instance_repeat_s))
        limits = Limits(timedelta(seconds=settings.instance_stale_s), timedelta(seconds=settings.instance_lost_s))
        clock = InstanceClock(instances, bus.beats, timers, now, limits)
        subscribe_instances(bus.inlet, door, Ear(InstanceNews(life, tasks, clock), DispatchNews(life), clock))
        agents = agents_of(bus, actor, handlers, timers, settings)
        subscribe_calls(bus.agent_calls, agents)
        subscribe_leases(bus.inlet, agents.clock)
        async with agents.claims.open():
            await schedules.arm_all()
            await bus.inlet.start("router")
            await bus.agent_calls.start("router")
            try:
                yield
            finally:
                agents.claims.end()
                await bus.agent_calls.stop()


def agents_of(bus: Bus, actor: Actor[Task, tuple[Cue, datetime]], handlers: Handlers, timers: Timers, settings: Settings) -> Agents:
    """Everybody who acts on what agents on NATS ask."""
    leases = Leases(actor, bus.log, lasts := timedelta(seconds=settings.lease_s))
    claims = Claims(bus.hands.of, Giver(actor, bus.beats, now, lasts), leases)
    return Agents(
        claims=claims,
        pulses=Pulses(leases, bus.beats, claims.untold, now),
        clock=LeaseClock(actor, leases, bus.beats, timers, now),
        reporting=AgentReporting(actor, leases, says := AgentSays(leases, bus.log, now), now),
        says=says,
        asking=AgentAsking(actor, leases, bus.log, bus.nudges, now),
        parts=AgentParts((handlers.life, handlers.events), leases, bus.live, AgentPace(bus.limits, settings.pace), now),
    )


def rules_of(settings: Settings) -> Rules:
    """The settings as the model thinks with them; words of older clients count as what they mean."""
    return Rules(
        routes={canonical(kind): Route(route.pool, route.executor) for kind, route in settings.routes.items()},
        gates=tuple(map(_gate, settings.gates)),
        agent_deadline_s=settings.agent_deadline_s,
        surfaces=settings.surfaces,
        kept=timedelta(days=settings.events_days),
    )


def _folded(caps: Mapping[str, int]) -> dict[str, int]:
    """Whatever the case of a repository, it is the same."""
    return {name.casefold(): most for name, most in caps.items()}


def _gate(setting: GateSetting) -> Gate:
    types = frozenset(map(canonical, setting.types))
    return Gate(setting.reason, types, frozenset(setting.priorities), setting.payload, setting.metadata)
