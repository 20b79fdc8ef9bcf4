"""The row `webhooks`: how fast one relay tells a subscriber what happened, against a bare client that posts signed bodies."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
import uvloop

from bench import processes
from bench.figures import Figure, median
from bench.plan import Plan
from trunkline.bus import Bus, connect
from trunkline.contracts import subjects
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.record import Record
from trunkline.contracts.task import Assignment, TaskSubmitted
from trunkline.contracts.webhook import GetWebhook, RegisterWebhook
from trunkline.testing.nats import free_port, nats_server
from trunkline_relay.model import signing
from trunkline_relay.settings import Settings
from trunkline_relay.wiring import running

TENANT: Final = "acme"
AT_ONCE: Final = 64
KEY: Final = b"k" * 32
WITHIN: Final = 120.0


def measure(plan: Plan) -> list[Figure]:
    return uvloop.run(_measured(plan, 200 if plan.quick else 4_000))


async def _measured(plan: Plan, events: int) -> list[Figure]:
    port = free_port()
    url = f"http://127.0.0.1:{port}/in"
    with nats_server() as server, processes.python("bench.listener", str(port)):
        settings = Settings.model_validate(
            {"nats_url": server.url, "vault_key": "k" * 32, "webhook_networks_allowed": ("127.0.0.0/8",), "webhook_per_host": AT_ONCE}
        )
        floors, rates, processor = [], [], []
        async with connect(settings, "bench") as bus, aiohttp.ClientSession() as client:
            await _up(client, url)
            async with running(settings):
                await _register(bus, url)
            for round in range(plan.rounds):
                plan.say(f"webhooks: round {round + 1}/{plan.rounds}")
                floors.append(await _floor(client, url, events))
                await _happen(bus, events, round)
                rate, cost = await _told(client, url, settings, events)
                rates.append(rate)
                processor.append(cost)
    floor, rate = median(floors), median(rates)
    return [
        Figure("bare client posts signed bodies, 64 in flight", floor, "/s"),
        Figure("deliveries of one relay, each kept before and after", rate, "/s", ">= 1000"),
        Figure("processor of the relay for one", median(processor), "us"),
        Figure("deliveries / bare client", rate / floor, "ratio"),
    ]


async def _up(client: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                await _moments(client, url)
            except aiohttp.ClientError:
                await asyncio.sleep(0.02)
            else:
                return


async def _moments(client: aiohttp.ClientSession, url: str) -> list[float]:
    async with client.get(url) as answer:
        found: list[float] = await answer.json()
        return found


async def _register(bus: Bus, url: str) -> None:
    about: dict[str, Any] = {"tenant": TENANT, "at": datetime.now(UTC), "hook_id": "wh_bench"}
    wish = RegisterWebhook(**about, url=url, events=("task.*",), owner="ann", surface="bench", own_only=False)
    await bus.commands.send("relay", "wh_bench", wish)
    async with asyncio.timeout(10):
        while True:
            if (await bus.commands.send("relay", "wh_bench", GetWebhook(**about))).body["status"] == "active":
                return
            await asyncio.sleep(0.05)


async def _happen(bus: Bus, events: int, round: int) -> None:
    """Tasks are submitted while no relay runs."""
    hands = asyncio.Semaphore(AT_ONCE)

    async def submit(number: int) -> None:
        task = TaskId(f"{round:08x}{number:024x}")
        fact = TaskSubmitted(assignment=Assignment(repo="acme/shop", prompt="do it"), submitted_by="ann", deadline_at=datetime.now(UTC))
        async with hands:
            subject = subjects.event(TenantId(TENANT), task, "task")
            await bus.log.append(subject, Record(at=datetime.now(UTC), facts=(fact,)), expect=0, id=task)

    async with asyncio.TaskGroup() as group:
        for number in range(events):
            group.create_task(submit(number))


async def _told(client: aiohttp.ClientSession, url: str, settings: Settings, events: int) -> tuple[float, float]:
    """Deliveries a second from the first to the last, and microseconds of this process for each, in which the relay runs."""
    before = len(await _moments(client, url))
    began = time.process_time()
    async with running(settings), asyncio.timeout(WITHIN):
        came = await _all(client, url, before, events)
    return (len(came) - 1) / (came[-1] - came[0]), (time.process_time() - began) / len(came) * 1e6


async def _all(client: aiohttp.ClientSession, url: str, before: int, events: int) -> list[float]:
    while True:
        moments = await _moments(client, url)
        if len(moments) >= before + events:
            return moments[before:]
        await asyncio.sleep(0.25)


async def _floor(client: aiohttp.ClientSession, url: str, events: int) -> float:
    body, hands = b'{"type":"task.created","data":{"task_id":"' + b"x" * 700 + b'"}}', asyncio.Semaphore(AT_ONCE)

    async def post(number: int) -> None:
        async with hands:
            headers = {"content-type": "application/json"} | signing.headers(f"dlv_{number}", 1_700_000_000, body, [KEY])
            async with client.post(url, data=body, headers=headers) as answer:
                await answer.read()

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(events):
            group.create_task(post(number))
    return events / (time.monotonic() - began)
