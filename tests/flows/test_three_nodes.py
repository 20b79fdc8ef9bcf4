"""Three nats-servers, two of each service and tasks without pause: whatever is killed or restarted, each task that was taken ends once."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from tests import campaigns
from tests.flows.fleet import EACH, SERVICES, Fleet, fleet
from tests.flows.fleet_load import Followed, Load, session
from tests.flows.reader import order
from trunkline.bus import Bus, connect
from trunkline.contracts.task import ENDS, TaskSubmitted

pytestmark = [pytest.mark.flow, pytest.mark.kill, pytest.mark.timeout(1800 if campaigns.LONG else 150)]

LINES = 20
ROUNDS = campaigns.tries(1, 12)
BACK_WITHIN, AT_MOST = 8.0, 10.0
"""Seconds. nats-server lets 4 to 9 pass until one of two followers stands for election, without a setting: one in 25 takes more than 8."""


@pytest.fixture(scope="module")
def running() -> Iterator[Fleet]:
    with fleet() as running:
        yield running


@asynccontextmanager
async def under_load(running: Fleet) -> AsyncIterator[Load]:
    """Tasks come while the block runs; after it all that was taken has ended, and was counted."""
    over = asyncio.Event()
    async with session() as http, connect(running.bus, "test") as bus:
        before = await tasks_of(bus)
        load = Load(running.gateways, http)
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run(over))
            try:
                await load.more(3)
                yield load
                await load.more(3)
            finally:
                over.set()
        assert running.gone() == []
        await check(bus, load, await tasks_of(bus) - before)


async def tasks_of(bus: Bus) -> set[str]:
    """All tasks that the log knows."""
    info = await bus.client.jetstream().stream_info("EVENTS", subjects_filter="evt.*.*.task")
    return set(info.state.subjects or {})


async def check(bus: Bus, load: Load, made: set[str]) -> None:
    assert len(load.tasks) <= len(made) <= len(load.tasks) + len(load.doubtful), "a task was made twice, or is not in the log"
    unasked = [told for told in load.refusals if told.startswith("5") and not (told.startswith("503") and told.endswith("later"))]
    assert unasked == [], load.refusals
    for followed in load.tasks.values():
        await check_task(bus, load, followed)
    assert not (await bus.client.jetstream().stream_info("DEAD")).state.messages, "something was given up on"


async def check_task(bus: Bus, load: Load, followed: Followed) -> None:
    seen = followed.seen
    ids = [order(id) for id, _ in seen]
    assert ids == sorted(set(ids)), "an event came twice, or out of order"
    assert [data["type"] for _, data in seen if data["type"] in ("result", "error")] == ["result"], seen[-1]
    check_lines([int(data["output"].split()[1]) for _, data in seen if data["type"] == "agent" and "output" in data])
    late = Followed(followed.id)
    await load.read(late, load.gateways[-1])
    assert late.seen == seen, "who reads it later reads something else"
    facts = [fact for stored in (await bus.log.load(f"evt.*.{UUID(followed.id).hex}.>")).records for fact in stored.record.facts]
    assert sum(isinstance(fact, TaskSubmitted) for fact in facts) == 1
    assert sum(isinstance(fact, ENDS) for fact in facts) == 1


def check_lines(said: list[int]) -> None:
    """Each attempt begins anew where the machine of the one before is gone; the last says all."""
    begins = [at for at, number in enumerate(said) if number == 1]
    attempts = [said[begin:end] for begin, end in zip(begins, [*begins[1:], len(said)], strict=True)]
    assert all(each == list(range(1, len(each) + 1)) for each in attempts), said
    assert len(attempts[-1]) == LINES, said


async def test_the_death_of_leaders_and_replicas_loses_nothing_and_writes_are_back_soon(running: Fleet) -> None:
    random.seed(campaigns.tries(1, time.time_ns()))
    outages: list[float] = []
    async with under_load(running) as load:
        for _ in range(ROUNDS):
            outages.append(await leader_killed(running, load))
            for names in together([f"{service}-{random.randrange(EACH)}" for service in random.sample(SERVICES, len(SERVICES))]):
                await asyncio.to_thread(running.kill, *names)
                await asyncio.to_thread(running.start, *names)
            await load.more(3)
        if not campaigns.LONG and outages[-1] > BACK_WITHIN:  # the one in 25: two in a row would be no chance
            outages.append(await leader_killed(running, load))
    shown = ", ".join(f"{each:.1f}" for each in sorted(outages))
    print(f"writes were back after {shown} s; {len(load.tasks)} tasks, {dict(load.refusals)}")
    late = [each for each in outages if each > BACK_WITHIN]
    assert len(late) <= max(len(outages) - ROUNDS, ROUNDS // 6) and max(outages) < AT_MOST, outages


def together(names: Sequence[str]) -> list[Sequence[str]]:
    """One after the other in the long form; all at once, one of each service, in the short one."""
    return [[name] for name in names] if campaigns.LONG else [names]


async def leader_killed(running: Fleet, load: Load) -> float:
    """Seconds until tasks were taken again."""
    node = await asyncio.to_thread(running.leader, "EVENTS")
    killed = time.monotonic()
    await asyncio.to_thread(node.kill)
    await asyncio.sleep(1)  # what was under way when it died may still be answered
    await load.more(3)
    outage = load.outage(killed)
    await asyncio.to_thread(running.await_connected)
    await asyncio.to_thread(node.start)
    await asyncio.to_thread(running.await_whole)
    return outage


@pytest.mark.skipif(not campaigns.LONG, reason="a quarter of a minute; `make campaigns` does it")
async def test_a_rolling_restart_under_load_loses_nothing_and_refuses_politely(running: Fleet) -> None:
    async with under_load(running) as load:
        for number in range(EACH):
            for names in together([f"{service}-{number}" for service in SERVICES]):
                await asyncio.to_thread(running.drain, *names)
                await asyncio.to_thread(running.start, *names)
                await load.more(3)
    print(f"{len(load.tasks)} tasks, {dict(load.refusals)}")
