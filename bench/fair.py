"""The row `fair`: what four tenants wait for their turns when a fifth brings as much as they, and a hundred times as much."""

from __future__ import annotations

import asyncio
import time

from bench.figures import Figure, at
from bench.plan import Plan
from trunkline.bus import Bus, BusSettings, WorkItem, connect
from trunkline.bus.work import Carry
from trunkline.testing.nats import nats_server

QUIET = ("beta", "gamma", "delta", "epsilon")
EACH = 40
HANDS = 4
WORK_S = 0.02
TIMES = 100


def measure(plan: Plan) -> list[Figure]:
    return asyncio.run(_measured(plan))


async def _measured(plan: Plan) -> list[Figure]:
    each = 8 if plan.quick else EACH
    with nats_server() as server:
        async with connect(BusSettings.model_validate({"nats_url": server.url}), "bench") as bus:
            waits = {}
            for times in (1, TIMES):
                plan.say(f"fair: the loud tenant brings {times} times as much")
                waits[times] = await _waits(bus, f"fair{times}", each, times)
            took = await _carried(bus, "bare", each * len(QUIET))
    p95 = {times: at(found, 0.95) for times, found in waits.items()}
    return [
        Figure("waits of four tenants, a fifth brings as much, p95", 1000 * p95[1], "ms"),
        Figure("waits of four tenants, a fifth brings a hundred times as much, p95", 1000 * p95[TIMES], "ms"),
        Figure("the latter over the former", p95[TIMES] / p95[1], "", "<= 1.5"),
        Figure("work of nothing that four tenants put, taken by four hands", took, "a second"),
    ]


async def _waits(bus: Bus, pool: str, each: int, times: int) -> list[float]:
    """Seconds from the moment at which everything is there until each task of the quiet is begun."""
    await _put(bus, pool, "acme", each * times)
    for tenant in QUIET:
        await _put(bus, pool, tenant, each)
    began, waits, over = time.monotonic(), list[float](), asyncio.Event()

    async def carry(item: WorkItem, _: int) -> None:
        if item.tenant != "acme":
            waits.append(time.monotonic() - began)
            if len(waits) == each * len(QUIET):
                over.set()
        await asyncio.sleep(WORK_S)

    await _taken(bus, pool, carry, over)
    return waits


async def _carried(bus: Bus, pool: str, number: int) -> float:
    """Pieces of work a second."""
    for tenant in QUIET:
        await _put(bus, pool, tenant, number // len(QUIET))
    began, count, over = time.monotonic(), [0], asyncio.Event()

    async def carry(item: WorkItem, _: int) -> None:
        count[0] += 1
        if count[0] == number:
            over.set()

    await _taken(bus, pool, carry, over)
    return number / (time.monotonic() - began)


async def _taken(bus: Bus, pool: str, carry: Carry, over: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as group:
        taking = group.create_task(bus.work.take(pool, HANDS, carry))
        async with asyncio.timeout(300):
            await over.wait()
        taking.cancel()


async def _put(bus: Bus, pool: str, tenant: str, number: int) -> None:
    gate = asyncio.Semaphore(50)

    async def one(task: int) -> None:
        async with gate:
            await bus.work.put(WorkItem(tenant=tenant, task=f"{pool}-{task}", attempt=1, pool=pool, priority="P2"))

    async with asyncio.TaskGroup() as group:
        for task in range(number):
            group.create_task(one(task))
