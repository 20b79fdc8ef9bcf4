"""Part of the row `scale`: what a task costs routers that do nothing else, one or two of them; its runs are told by the bench itself."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime

import psutil
import uvloop
from nats.aio.msg import Msg

from bench import processes
from bench.figures import Figure, median
from bench.plan import Plan
from trunkline.bus import Bus, BusSettings, connect
from trunkline.contracts import subjects
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Record
from trunkline.contracts.run import RunClaimed, RunFailed
from trunkline.contracts.task import Assignment, SubmitTask
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id, new_task_id
from trunkline.testing.nats import NatsServer, nats_server

TENANT = TenantId("public")
IN_FLIGHT = 64
ENDED_WITHIN = 30.0


def measure(plan: Plan) -> Iterator[Figure]:
    """Routers share one core, and all else has the other: so two have no more than one, and what they do with it can be compared."""
    costs: dict[int, list[float]] = {1: [], 2: []}
    for round in range(plan.rounds):
        for count, into in costs.items():
            plan.say(f"scale: round {round + 1}, {count} of the routers alone")
            into.append(_once(count, plan.seconds * 2))
    one, two = (median(costs[count]) for count in (1, 2))
    yield Figure("one router alone: processor of a task", one, "ms")
    yield Figure("two routers alone: processor of a task, both", two, "ms")
    yield Figure("two routers, each on a core of its own: against one", 2 * one / two, "ratio", ">= 1.6")


def _once(count: int, seconds: float) -> float:
    """Milliseconds of all routers' processor for one task."""
    with ExitStack() as stack:
        server = stack.enter_context(nats_server())
        routers = [stack.enter_context(processes.python("bench.services", server.url, "0", "router")).pid for _ in range(count)]
        assert server.process
        here, cores = psutil.Process(), psutil.Process().cpu_affinity()
        try:
            _pin(routers, cores[:1])
            _pin([server.process.pid, here.pid], cores[1:] or cores)
            return uvloop.run(_spent(server, routers, seconds))
        finally:
            here.cpu_affinity(cores)


def _pin(pids: Sequence[int], cores: Sequence[int]) -> None:
    for pid in pids:
        psutil.Process(pid).cpu_affinity(list(cores))


async def _ready(bus: Bus, server: NatsServer, routers: int) -> bool:
    """Whether all of them hear, and one answers."""
    return await asyncio.to_thread(_hearing, server) >= routers and await bus.commands.ping("router")


async def _spent(server: NatsServer, routers: Sequence[int], seconds: float) -> float:
    async with asyncio.timeout(processes.READY + 3 * ENDED_WITHIN), connect(BusSettings(nats_url=server.url), "bench") as bus:
        lives = Lives(bus)
        await lives.hear()
        while not await _ready(bus, server, len(routers)):  # noqa: ASYNC110 (nats-server is asked how many hear; it does not tell)
            await asyncio.sleep(0.1)
        await lives.run(2.0)  # the first tasks pay for imports
        before, done = sum(map(processes.spent, routers)), lives.done
        await lives.run(seconds)
        return (sum(map(processes.spent, routers)) - before) / (lives.done - done) * 1000


def _hearing(server: NatsServer) -> int:
    """How many routers take commands."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.monitor}/connz", timeout=5) as answer:
        return sum(each.get("name") == "router-inlet" for each in json.load(answer)["connections"])


class Lives:
    """Tasks from their submission to their end, as a router knows them."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._ends: dict[str, asyncio.Event] = {}
        self.done = 0

    async def hear(self) -> None:
        async def ended(message: Msg) -> None:
            task = message.subject.split(".")[3]
            if b'"task.failed"' in message.data and task in self._ends:
                self._ends[task].set()

        await self._bus.client.subscribe(f"{subjects.LIVE_PREFIX}{subjects.events_of_part(subjects.TASK)}", cb=ended)

    async def run(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(self._hand(until))

    async def _hand(self, until: float) -> None:
        while time.monotonic() < until:
            await self._one()
            self.done += 1

    async def _one(self) -> None:
        task, at = new_task_id(), now()
        self._ends[task] = ended = asyncio.Event()
        asked = Assignment(repo="acme/shop", prompt="fix it", max_retries=0)
        await self._bus.commands.send(
            "router", task, SubmitTask(tenant=TENANT, at=at, task_id=task, assignment=asked, submitted_by="bench")
        )
        await self._say(task, at, RunClaimed(attempt=1, owner="bench"))
        await self._say(task, at, RunFailed(attempt=1, code="NO_CHANGES", error="nothing was changed", recoverable=False))
        async with asyncio.timeout(ENDED_WITHIN):
            await ended.wait()
        del self._ends[task]

    async def _say(self, task: str, at: datetime, fact: Fact) -> None:
        record = Record(at=at, cause="bench", facts=(fact,))
        await self._bus.log.say(subjects.event(TENANT, TaskId(task), "run"), record, id=new_id())
