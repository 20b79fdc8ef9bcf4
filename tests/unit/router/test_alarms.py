"""Alarms that are far away are gathered; whoever set one knows when it is on disk."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from pydantic import BaseModel

from trunkline.bus import Timers
from trunkline.contracts.errors import Unavailable
from trunkline.telemetry.sampling import Sampler
from trunkline.telemetry.traces import NO_HEADERS, TENANT, Tracer, carried_with_tenant, current
from trunkline.telemetry.w3c import TRACEPARENT
from trunkline_router.adapters.alarms import MOST, Alarms
from trunkline_router.handlers.one_by_one import each_in_its_trace
from trunkline_router.ports import DueTask, DueTasks

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1, microseconds=300_000)


@dataclass
class Kept:
    """What was stored, in the place of the bus."""

    rings: list[tuple[datetime, tuple[str, ...]]] = field(default_factory=list)
    away: bool = False
    bodies: list[DueTasks] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)

    async def set(self, name: str, id: str, at: datetime, target: tuple[str, str], body: BaseModel) -> None:
        if self.away:
            raise Unavailable("the bus is away")
        assert isinstance(body, DueTasks)
        self.bodies.append(body)
        self.rings.append((at, tuple(due.task for due in body.tasks)))
        self.traces.append(carried_with_tenant({}).get(TENANT, ""))


def alarms(kept: Kept) -> Alarms:
    return Alarms(cast(Timers, kept), "deadline", lambda: NOW)


def due(number: int) -> DueTask:
    return DueTask(tenant="acme", task=f"t{number}")


async def test_alarms_for_the_same_second_lie_in_one_message_and_ring_no_earlier_than_asked() -> None:
    kept = Kept()
    ours = alarms(kept)
    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(ours.set(due(number), LATER + timedelta(milliseconds=number)))
    ((at, tasks),) = kept.rings
    assert sorted(tasks) == sorted(f"t{number}" for number in range(10))
    assert LATER < at <= LATER + timedelta(seconds=1)


async def test_a_message_holds_no_more_than_it_may() -> None:
    kept = Kept()
    ours = alarms(kept)
    async with asyncio.TaskGroup() as group:
        for number in range(2 * MOST + 10):
            group.create_task(ours.set(due(number), LATER))
    assert sorted(len(tasks) for _, tasks in kept.rings) == [10, MOST, MOST]


async def test_one_that_rings_for_many_goes_on_from_nobodys_trace_and_one_alone_from_its_own() -> None:
    kept = Kept()
    ours, tracer = alarms(kept), Tracer("router", Sampler(1.0, 5.0), lambda _: None)

    async def of(tenant: str, number: int, at: datetime) -> None:
        with tracer.edge("POST /tasks", NO_HEADERS, writes=True) as span:
            span.belongs(tenant, "ann")
            await ours.set(due(number), at)

    async with asyncio.TaskGroup() as group:
        for number, tenant in enumerate(("acme", "other")):
            group.create_task(of(tenant, number, LATER))
        group.create_task(of("alone", 3, LATER + timedelta(seconds=10)))
    assert kept.traces == ["", "alone"]
    assert [len({due.trace for due in body.tasks} - {""}) for body in kept.bodies] == [2, 0], (
        "in one message each says its own, and alone its headers do"
    )


async def test_what_is_done_when_one_rings_for_many_goes_on_from_the_trace_of_each() -> None:
    ours, tracer, found = alarms(kept := Kept()), Tracer("router", Sampler(1.0, 5.0), lambda _: None), {}

    async def of(number: int) -> str:
        with tracer.edge("POST /tasks", NO_HEADERS, writes=True) as span:
            await ours.set(due(number), LATER)
            return span.traceparent

    async def act(one: DueTask) -> None:
        found[one.task] = carried_with_tenant({})
        await ours.set(one, LATER + timedelta(hours=1))  # as an alarm that was too early

    traces = await asyncio.gather(of(1), of(2))
    (rings,) = kept.bodies
    assert current() is None
    await each_in_its_trace((*rings.tasks, due(3)), act)
    assert found == {**{f"t{n}": {TENANT: "acme", TRACEPARENT: trace} for n, trace in enumerate(traces, 1)}, "t3": {}}
    assert [body.tasks[0].task for body in kept.bodies[1:]] == ["t1", "t2", "t3"]
    assert current() is None


async def test_an_alarm_that_is_near_is_exact_and_alone() -> None:
    kept, soon = Kept(), NOW + timedelta(seconds=2, microseconds=5)
    ours = alarms(kept)
    async with asyncio.TaskGroup() as group:
        group.create_task(ours.set(due(1), soon))
        group.create_task(ours.set(due(2), soon))
    assert kept.rings == [(soon, ("t1",)), (soon, ("t2",))]


async def test_everybody_hears_that_it_could_not_be_stored() -> None:
    ours = alarms(Kept(away=True))
    told = await asyncio.gather(*(ours.set(due(number), LATER) for number in range(3)), return_exceptions=True)
    assert [type(error) for error in told] == [Unavailable] * 3


async def test_whoever_came_second_hears_when_the_first_is_stopped() -> None:
    ours = alarms(Kept())
    first = asyncio.create_task(ours.set(due(1), LATER))
    await asyncio.sleep(0)
    second = asyncio.create_task(ours.set(due(2), LATER))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(Unavailable):
        await second
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_whoever_is_stopped_stops_nobody_else() -> None:
    kept = Kept()
    ours = alarms(kept)
    first = asyncio.create_task(ours.set(due(1), LATER))
    await asyncio.sleep(0)
    second, third = asyncio.create_task(ours.set(due(2), LATER)), asyncio.create_task(ours.set(due(3), LATER))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(first, third)
    assert len(kept.rings) == 1


def test_an_alarm_of_an_earlier_version_was_for_one_task() -> None:
    assert DueTasks.model_validate({"tenant": "acme", "task": "t1", "attempt": 0}).tasks == (due(1),)
