"""The row `leases`: tasks through an agent of the SDK on NATS, against the floor; and what its permissions add to a connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack

import nats
import uvloop
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg

from bench import processes
from bench.figures import Figure, at, median
from bench.job import appends
from bench.plan import Plan
from bench.processes import System
from bench.services import NAMES
from trunkline.auth.nats_users import Grant
from trunkline.auth.nkeys import Issuer, new_seed
from trunkline.bus import Bus, BusSettings, Callout, Shown, connect
from trunkline.contracts.ids import TenantId
from trunkline.contracts.task import Assignment, SubmitTask
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_task_id
from trunkline.telemetry.logs import set_up_logs
from trunkline.testing.nats import nats_server
from trunkline_router.settings import Settings
from trunkline_router.wiring import running

LEVELS = (1, 64)
TENANT = "public"
ONE = "agent of the SDK"
LOOKS = 100


def measure(plan: Plan) -> list[Figure]:
    set_up_logs("bench", "warning")
    with ExitStack() as stack:
        client = stack.enter_context(processes.client())
        floors = [stack.enter_context(processes.floor(name, way)) for name, way in (("floor", "single"), ("floor, gathered", "gathered"))]
        ours = stack.enter_context(processes.trunkline(ONE, [[name] for name in NAMES]))
        stack.enter_context(processes.python("bench.leasing_agent", ours.server.url))
        for system in floors:
            client.measure(system.kind, system.address, 4, 0.5)
        uvloop.run(load(ours.server.url, 4, 0.5))
        figures: list[Figure] = []
        for level in LEVELS:
            plan.say(f"leases: {level} in flight")
            rates = {system.name: _floor(client, system, level, plan) for system in floors}
            figures += _figures(level, rates, ours, plan)
    return [*figures, *uvloop.run(_permissions(LOOKS if not plan.quick else 10))]


def _floor(client: processes.Client, system: System, level: int, plan: Plan) -> float:
    heard = [client.measure(system.kind, system.address, level, plan.seconds) for _ in range(plan.rounds)]
    return median([each["tasks"] / each["seconds"] for each in heard])


def _figures(level: int, floors: dict[str, float], ours: System, plan: Plan) -> Iterator[Figure]:
    head, stored, done = f"{level} in flight, ", appends(ours), 0
    rates, times = [], []
    for _ in range(plan.rounds):
        took = uvloop.run(load(ours.server.url, level, plan.seconds))
        rates.append(len(took) / plan.seconds)
        times += took
        done += len(took)
    for name, rate in floors.items():
        yield Figure(f"{head}{name}: tasks", rate, "/s")
    yield Figure(f"{head}{ONE}: tasks", median(rates), "/s")
    yield Figure(f"{head}{ONE}: done p50", at(times, 0.5) * 1000, "ms")
    yield Figure(f"{head}{ONE}: done p99", at(times, 0.99) * 1000, "ms")
    yield Figure(f"{head}{ONE}: appends", (appends(ours) - stored) / max(done, 1), "a task")
    for name, rate in floors.items():
        target = ">= 0.5" if level > 1 and name == "floor" else ""
        yield Figure(f"{head}{ONE} / {name}", median(rates) / rate, "ratio", target)


async def load(url: str, level: int, seconds: float) -> list[float]:
    """For each task that was done within that time, how long it took from its submission to its end."""
    async with connect(BusSettings.model_validate({"nats_url": url}), "bench") as bus:
        ends: dict[str, asyncio.Event] = {}

        async def hear(message: Msg) -> None:
            task = message.subject.split(".")[3]
            if b'"task.succeeded"' in message.data and task in ends:
                ends[task].set()

        await bus.client.subscribe(f"live.evt.{TENANT}.*.task", cb=hear)
        took: list[float] = []
        until = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for _ in range(level):
                group.create_task(_one_after_another(bus, ends, took, until))
        return took


async def _one_after_another(bus: Bus, ends: dict[str, asyncio.Event], took: list[float], until: float) -> None:
    while (began := time.monotonic()) < until:
        task = new_task_id()
        ends[task] = asyncio.Event()
        wish = SubmitTask(
            tenant=TENANT, at=now(), task_id=task, assignment=Assignment(type="bugfix", prompt="fix it"), submitted_by="bench"
        )
        await bus.commands.send("router", task, wish)
        async with asyncio.timeout(30):
            await ends[task].wait()
        del ends[task]
        if time.monotonic() <= until:
            took.append(time.monotonic() - began)


async def _permissions(looks: int) -> list[Figure]:
    """A connection and its first answer, as an agent whom a callout let in and as a user of the configuration without limits."""
    issuer = Issuer.of(new_seed())

    async def judge(shown: Shown) -> Grant:
        return Grant(TenantId(TENANT), "bench", "mark")

    async with AsyncExitStack() as stack:
        server = stack.enter_context(nats_server(issuer=issuer.public))
        await stack.enter_async_context(running(Settings.model_validate({"nats_url": server.url})))
        bus = await stack.enter_async_context(connect(BusSettings.model_validate({"nats_url": server.url}), "bench"))
        await Callout(bus.client, issuer).hear(judge)
        inside, outside = [], []
        for _ in range(looks):
            inside.append(await _first(await nats.connect(server.url)))
            outside.append(await _first(await nats.connect(server.open_url, token="x", inbox_prefix=f"_INBOX.{TENANT}.bench")))
        connected = [await _connecting(server.open_url) for _ in range(looks)]
    added = (median(outside) - median(inside)) * 1000
    return [
        Figure("first answer of a connection, no permissions: p50", median(inside) * 1000, "ms"),
        Figure("first answer of a connection, an agent's: p50", median(outside) * 1000, "ms"),
        Figure("what permissions add to it", added, "ms", "<= 1"),
        Figure("a connection by callout: p50", median(connected) * 1000, "ms"),
    ]


async def _first(client: Nats) -> float:
    began = time.perf_counter()
    await client.request(f"agent.{TENANT}.bench.beat", b'{"session":"s"}', timeout=5)
    took = time.perf_counter() - began
    await client.close()
    return took


async def _connecting(url: str) -> float:
    began = time.perf_counter()
    client = await nats.connect(url, token="x")
    took = time.perf_counter() - began
    await client.close()
    return took
