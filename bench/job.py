"""The row `job`: submit, durable, worker, 20 events, result seen by a stream client; against the floor."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import nats

from bench import processes
from bench.figures import Figure, at, median
from bench.plan import Plan
from bench.processes import MIB, Client, System
from bench.services import NAMES

LEVELS = (1, 16, 64)
FLOOR, GATHERED, ONE, SPLIT = "floor", "floor, gathered", "one process", "split"


@dataclass(slots=True)
class Measured:
    """All rounds of one system at one level. Times in milliseconds."""

    rates: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    appends: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    said: list[float] = field(default_factory=list)
    result: list[float] = field(default_factory=list)


Results = dict[tuple[str, int], Measured]


def measure(plan: Plan) -> list[Figure]:
    levels = LEVELS[:2] if plan.quick else LEVELS
    results: Results = {}
    with ExitStack() as stack:
        client = stack.enter_context(processes.client())
        systems = [stack.enter_context(each) for each in _systems(plan)]
        for system in systems:
            _warm(client, system)
        for round in range(plan.rounds):
            for level in levels:
                for system in systems:
                    plan.say(f"job: round {round + 1}/{plan.rounds}, {level} in flight, {system.name}")
                    _once(client, system, level, _seconds(plan, level), results.setdefault((system.name, level), Measured()))
    return [figure for level in levels for figure in _figures(results, level)]


def _seconds(plan: Plan, level: int) -> float:
    """One at a time makes few tasks, and the 99th percentile of a few is only the worst of them."""
    return plan.seconds * (1 if plan.quick or level > 1 else 4)


def _systems(plan: Plan) -> Iterator[Any]:
    yield processes.floor(FLOOR, "single")
    yield processes.floor(GATHERED, "gathered")
    yield processes.trunkline(ONE, [NAMES])
    if not plan.quick:
        yield processes.trunkline(SPLIT, [[name] for name in NAMES])


def _warm(client: Client, system: System) -> None:
    """The first tasks of a process pay for its imports and connections."""
    client.measure(system.kind, system.address, 4, 0.5)


def _once(client: Client, system: System, level: int, seconds: float, into: Measured) -> None:
    before, stored, memory = system.processor(), appends(system), system.memory()
    heard = client.measure(system.kind, system.address, level, seconds)
    if heard["bad"]:
        raise RuntimeError(f"{system.name}: {heard['bad']} of {heard['tasks']} tasks did not show 20 events and a result")
    after, tasks = system.processor(), heard["tasks"]
    into.rates.append(tasks / heard["seconds"])
    into.processor.append((after[0] - before[0]) / tasks * 1000)
    into.server.append((after[1] - before[1]) / tasks * 1000)
    into.memory.append((system.memory() - memory) / tasks * 1000 / MIB)
    into.appends.append((appends(system) - stored) / tasks)
    for name in ("first", "said", "result"):
        getattr(into, name).extend(heard[name])


def appends(system: System) -> int:
    """How many messages were ever stored in all streams together."""
    return asyncio.run(_appends(system.server.url))


async def _appends(url: str) -> int:
    client = await nats.connect(url)
    try:
        return sum(stream.state.last_seq for stream in await client.jetstream().streams_info())
    finally:
        await client.close()


def _figures(results: Results, level: int) -> Iterator[Figure]:
    def rate(name: str) -> float:
        return median(results[name, level].rates)

    for name in (FLOOR, GATHERED, ONE, SPLIT):
        if (name, level) in results:
            yield from _of(f"{level} in flight, {name}: ", results[name, level], level, ours=name in (ONE, SPLIT))
    for name in (ONE, SPLIT):
        if (name, level) in results:
            yield Figure(f"{level} in flight, {name} / floor", rate(name) / rate(FLOOR), "ratio", ">= 0.4" if level > 1 else "")
            yield Figure(f"{level} in flight, {name} / floor, gathered", rate(name) / rate(GATHERED), "ratio")


def _of(head: str, one: Measured, level: int, *, ours: bool) -> Iterator[Figure]:
    yield Figure(head + "tasks", median(one.rates), "/s")
    yield Figure(head + "first event p50", at(one.first, 0.5), "ms")
    yield Figure(head + "first event p99", at(one.first, 0.99), "ms", "<= 50" if ours and level == 1 else "")
    if ours:
        yield Figure(head + "first agent event p50", at(one.said, 0.5), "ms")
    yield Figure(head + "result p50", at(one.result, 0.5), "ms")
    yield Figure(head + "result p99", at(one.result, 0.99), "ms")
    yield Figure(head + "processor", median(one.processor), "s/1,000")
    yield Figure(head + "nats-server", median(one.server), "s/1,000")
    yield Figure(head + "appends", median(one.appends), "a task")
    if ours:
        yield Figure(head + "memory grown", median(one.memory), "MiB/1,000")
