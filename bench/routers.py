"""Part of the row `scale`: what a task costs routers that do nothing else, one or two of them; its runs are told by the bench itself."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from datetime import datetime
from pathlib import Path

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
MEMORY = Path("/dev/shm")
IN_FLIGHT = 64
TURNS = 4
"""In a round."""
ENDED_WITHIN = 30.0


def measure(plan: Plan) -> Iterator[Figure]:
    """Routers share one core, and all else has the other: so two have no more than one, and what they do with it can be compared.

    One and two take turns, each with a log of its own, as a machine is quicker at one time than at another.
    """
    with ExitStack() as stack:
        systems = [_System(stack, count) for count in (1, 2)]
        one, two = uvloop.run(_costs(plan, systems))
    yield Figure("one router alone: processor of a task", median(one), "ms")
    yield Figure("two routers alone: processor of a task, both", median(two), "ms")
    times = median([2 * alone / both for alone, both in zip(one, two, strict=True)])
    yield Figure("two routers, each on a core of its own: against one", times, "ratio", ">= 1.6")


class _System:
    """A nats-server and so many routers, to be pinned."""

    def __init__(self, stack: ExitStack, count: int) -> None:
        # In memory: how long routers wait for a disk is no part of what they do, but while they do they have less to do at once.
        self.server = stack.enter_context(nats_server(MEMORY if MEMORY.is_dir() else None))
        self.routers = [stack.enter_context(processes.python("bench.services", self.server.url, "0", "router")).pid for _ in range(count)]

    def pin(self, cores: Sequence[int]) -> None:
        assert self.server.process
        for pid in self.routers:
            psutil.Process(pid).cpu_affinity(list(cores[:1]))
        psutil.Process(self.server.process.pid).cpu_affinity(list(cores[1:] or cores))

    async def ready(self, bus: Bus) -> None:
        while not await self._hears(bus):  # noqa: ASYNC110 (nats-server is asked how many hear; it does not tell)
            await asyncio.sleep(0.1)

    async def _hears(self, bus: Bus) -> bool:
        """Whether all of them hear, and one answers."""
        return await asyncio.to_thread(_hearing, self.server) >= len(self.routers) and await bus.commands.ping("router")

    def spent(self) -> float:
        return sum(map(processes.spent, self.routers))


async def _costs(plan: Plan, systems: Sequence[_System]) -> list[list[float]]:
    """Of each system, turn by turn, milliseconds of all its routers' processor for one task."""
    here, cores = psutil.Process(), psutil.Process().cpu_affinity()
    turns = plan.rounds * TURNS
    async with asyncio.timeout(2 * processes.READY + turns * len(systems) * (plan.seconds + ENDED_WITHIN)), AsyncExitStack() as stack:
        lives = [Lives(await stack.enter_async_context(connect(BusSettings(nats_url=each.server.url), "bench"))) for each in systems]
        try:
            here.cpu_affinity(cores[1:] or cores)
            for system, load in zip(systems, lives, strict=True):
                system.pin(cores)
                await system.ready(load.bus)
                await load.hear()
                await load.run(min(2 * plan.seconds, 2.0))  # the first tasks pay for imports
            costs: list[list[float]] = [[] for _ in systems]
            for turn in range(turns):
                plan.say(f"scale: turn {turn + 1} of {turns}, one router and two")
                for into, system, load in zip(costs, systems, lives, strict=True):
                    into.append(await _cost(system, load, plan.seconds))
            return costs
        finally:
            here.cpu_affinity(cores)


async def _cost(system: _System, load: Lives, seconds: float) -> float:
    before, done = system.spent(), load.done
    await load.run(seconds)
    return (system.spent() - before) / (load.done - done) * 1000


def _hearing(server: NatsServer) -> int:
    """How many routers take commands."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.monitor}/connz", timeout=5) as answer:
        return sum(each.get("name") == "router-inlet" for each in json.load(answer)["connections"])


class Lives:
    """Tasks from their submission to their end, as a router knows them."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self._ends: dict[str, asyncio.Event] = {}
        self.done = 0

    async def hear(self) -> None:
        async def ended(message: Msg) -> None:
            task = message.subject.split(".")[3]
            if b'"task.failed"' in message.data and task in self._ends:
                self._ends[task].set()

        await self.bus.client.subscribe(f"{subjects.LIVE_PREFIX}{subjects.events_of_part(subjects.TASK)}", cb=ended)

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
        await self.bus.commands.send("router", task, SubmitTask(tenant=TENANT, at=at, task_id=task, assignment=asked, submitted_by="bench"))
        await self._say(task, at, RunClaimed(attempt=1, owner="bench"))
        await self._say(task, at, RunFailed(attempt=1, code="NO_CHANGES", error="nothing was changed", recoverable=False))
        async with asyncio.timeout(ENDED_WITHIN):
            await ended.wait()
        del self._ends[task]

    async def _say(self, task: str, at: datetime, fact: Fact) -> None:
        record = Record(at=at, cause="bench", facts=(fact,))
        await self.bus.log.say(subjects.event(TENANT, TaskId(task), "run"), record, id=new_id())
