"""The row `readers`: ten thousand readers of one job on one gateway process, what each costs, and how late the last of them hears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import psutil

from bench import timelines
from bench.figures import Figure, at, median
from bench.plan import Plan
from bench.timelines import Crowd, Written

CALM = 0.5
"""Seconds between two events: each is measured alone."""


@dataclass
class Heard:
    """Milliseconds from before an event was stored to each reader's hearing of it; one list an event."""

    lost: int = 0
    memory: float = 0.0
    """KiB resident for each reader."""
    events: list[list[float]] = field(default_factory=list)


def measure(plan: Plan) -> list[Figure]:
    count = 200 if plan.quick else 10_000
    with timelines.gateway() as system, timelines.bare(system.server.url) as floor, timelines.crowd() as crowd:

        async def both() -> tuple[Heard, Heard]:
            async with timelines.log_of(system) as bus:
                made = await timelines.job(bus)
                await asyncio.sleep(CALM)
                resident = partial(_resident, system.children[0].pid)
                ours = await _of(plan, crowd, made, lambda: crowd.ask("open", port=system.address, path=made.path, count=count), resident)
                theirs = await _of(plan, crowd, made, lambda: crowd.ask("open", port=floor, path="/follow", count=count), resident)
                return ours, theirs

        ours, theirs = asyncio.run(both())
    return list(_figures(count, ours, theirs))


def _resident(pid: int) -> float:
    """Bytes."""
    return float(psutil.Process(pid).memory_info().rss)


async def _of(plan: Plan, crowd: Crowd, made: Written, opening: Callable[[], int], resident: Callable[[], float]) -> Heard:
    heard, before = Heard(), resident()
    plan.say("readers: opening")
    count = opening()
    heard.memory = (resident() - before) / 1024 / count
    for round in range(plan.rounds + 1):
        plan.say(f"readers: event {round}/{plan.rounds}")
        await asyncio.sleep(CALM)
        await made.say(timelines.stamp())
        late = crowd.ask("heard", count=count)
        heard.lost += count - len(late)
        heard.events.append([seconds * 1000 for seconds in late])
    heard.events.pop(0)  # it warms what it touches
    crowd.ask("leave")
    await asyncio.sleep(CALM)
    return heard


def _figures(count: int, ours: Heard, theirs: Heard) -> Iterator[Figure]:
    def p(heard: Heard, share: float) -> float:
        return median([at(event, share) for event in heard.events])

    head = f"{count:,} readers of one job: "
    yield Figure(head + "memory each", ours.memory, "KiB", "<= 14")
    yield Figure(head + "one event to all, p50", p(ours, 0.5), "ms")
    yield Figure(head + "one event to all, p99", p(ours, 0.99), "ms", "<= 400")
    yield Figure(head + "one event to all, the floor, p99", p(theirs, 0.99), "ms")
    yield Figure(head + "p99 / floor", p(ours, 0.99) / p(theirs, 0.99), "ratio")
    yield Figure(head + "not heard of", float(ours.lost), "of all", "<= 0")
