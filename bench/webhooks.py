"""The row `webhooks`: how fast one relay tells a subscriber what happened, against a bare client that posts signed bodies."""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
import uvloop

from bench import processes
from bench.figures import Figure, median
from bench.messenger import AT_ONCE
from bench.plan import Plan
from trunkline.bus import Bus, BusSettings, connect
from trunkline.contracts import subjects
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.record import Record
from trunkline.contracts.task import Assignment, TaskSubmitted
from trunkline.contracts.webhook import GetWebhook, RegisterWebhook
from trunkline.testing.nats import free_port, nats_server
from trunkline_relay.model import signing

TENANT: Final = "acme"
KEY: Final = b"k" * 32
WITHIN: Final = 120.0


def measure(plan: Plan) -> list[Figure]:
    return uvloop.run(_measured(plan, 200 if plan.quick else 4_000))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a round is played."""

    bus: Bus
    client: aiohttp.ClientSession
    url: str
    """The listener's."""
    relay: tuple[str, str]
    """What it is started with: nats-server, and a folder for its views, so that each round folds no more than its own tasks."""


async def _measured(plan: Plan, events: int) -> list[Figure]:
    port = free_port()
    floors, rates, processor = [], [], []
    with nats_server() as server, processes.python("bench.listener", str(port)), tempfile.TemporaryDirectory() as folder:
        async with connect(BusSettings(nats_url=server.url), "bench") as bus, aiohttp.ClientSession() as client:
            place = Place(bus, client, f"http://127.0.0.1:{port}/in", (server.url, folder))
            await _up(place)
            async with _relay(place) as child:
                await _spent(child)
                await _register(place)
            for round in range(plan.rounds):
                plan.say(f"webhooks: round {round + 1}/{plan.rounds}")
                floors.append(await _floor(place, events))
                await _happen(bus, events, round)
                rate, cost = await _told(place, events)
                rates.append(rate)
                processor.append(cost)
    floor, rate = median(floors), median(rates)
    return [
        Figure("bare client posts signed bodies, 64 in flight", floor, "/s"),
        Figure("deliveries of one relay, each kept before and after", rate, "/s", ">= 1000"),
        Figure("processor of the relay for one", median(processor), "us"),
        Figure("deliveries / bare client", rate / floor, "ratio"),
    ]


async def _up(place: Place) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                await _moments(place, 0)
            except aiohttp.ClientError:
                await asyncio.sleep(0.02)
            else:
                return


async def _moments(place: Place, after: int) -> list[float]:
    """When each came that was told, but for the first so many."""
    async with place.client.get(f"{place.url}?after={after}") as answer:
        found: list[float] = await answer.json()
        return found


@asynccontextmanager
async def _relay(place: Place) -> AsyncIterator[subprocess.Popen[str]]:
    """One that hears from now on; at the end it may let go of what it has in hand."""
    with processes.python("bench.messenger", *place.relay, talking=True) as child:
        yield child
        assert child.stdin
        child.stdin.close()
        await asyncio.to_thread(child.wait, 10)


async def _spent(child: subprocess.Popen[str]) -> tuple[float, float]:
    """The moment, and its seconds of processor until then."""
    assert child.stdout
    said = await asyncio.to_thread(child.stdout.readline)
    if not said:
        raise RuntimeError("the relay broke; run again with BENCH_DEBUG=1 to see why")
    told = json.loads(said)
    return told["at"], told["processor"]


async def _register(place: Place) -> None:
    about: dict[str, Any] = {"tenant": TENANT, "at": datetime.now(UTC), "hook_id": "wh_bench"}
    wish = RegisterWebhook(**about, url=place.url, events=("task.*",), owner="ann", surface="bench", own_only=False)
    await place.bus.commands.send("relay", "wh_bench", wish)
    async with asyncio.timeout(10):
        while True:
            if (await place.bus.commands.send("relay", "wh_bench", GetWebhook(**about))).body["status"] == "active":
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


async def _told(place: Place, events: int) -> tuple[float, float]:
    """Deliveries a second from the first to the last, and microseconds of the relay's processor for each that came once it was ready.

    It hears nothing before its views are built, so what that costs is no part of either.
    """
    before = len(await _moments(place, 0))
    async with _relay(place) as child, asyncio.timeout(WITHIN):
        ready, began = await _spent(child)
        came = await _all(place, before, events)
        assert child.stdin
        print(file=child.stdin, flush=True)
        _, ended = await _spent(child)
    return (len(came) - 1) / (came[-1] - came[0]), (ended - began) / sum(moment > ready for moment in came) * 1e6


async def _all(place: Place, before: int, events: int) -> list[float]:
    while True:
        moments = await _moments(place, before)
        if len(moments) >= events:
            return moments
        await asyncio.sleep(0.25)


async def _floor(place: Place, events: int) -> float:
    body, hands = b'{"type":"task.created","data":{"task_id":"' + b"x" * 700 + b'"}}', asyncio.Semaphore(AT_ONCE)

    async def post(number: int) -> None:
        async with hands:
            headers = {"content-type": "application/json"} | signing.headers(f"dlv_{number}", 1_700_000_000, body, [KEY])
            async with place.client.post(place.url, data=body, headers=headers) as answer:
                await answer.read()

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(events):
            group.create_task(post(number))
    return events / (time.monotonic() - began)
