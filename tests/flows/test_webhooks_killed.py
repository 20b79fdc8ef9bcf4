"""A relay that is killed at any step loses no delivery and keeps none twice; what is sent again comes by the same id."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from tests.campaigns import LONG
from tests.flows.ear import Answer, Came, Subscriber, subscriber
from tests.flows.test_webhooks import KEY, Desk, desk
from tests.unit.relay.timelines import submitted
from trunkline.contracts.webhook import DeliveryStatus
from trunkline.runtime.faults import DIRECTORY
from trunkline.testing import warm
from trunkline.testing.nats import NatsServer, nats_server

pytestmark = [pytest.mark.flow, pytest.mark.timeout(180)]
WITHIN = 60.0
KEPT_FIRST = ("webhook_kept.before_effect", "webhook_kept.after_effect")
"""Passed only when the host is not known to be quick: what went there last has failed."""
FAILED = "webhook_sent.before_record"
"""Passed only when a try has failed, and there is to be another one."""
POINTS = (*KEPT_FIRST, "webhook_sent.before_effect", "webhook_sent.after_effect", FAILED, "webhook_sent.after_record")
TRIED = POINTS if LONG else (KEPT_FIRST[1], "webhook_sent.after_effect", FAILED)
NEVER = "never"
"""How the tasks are named whose deliveries are never taken."""


class Relay:
    """Its own process, which can be killed."""

    def __init__(self, server: NatsServer, folder: Path) -> None:
        known = {"NATS_URL": server.url, "VAULT_KEY": KEY, "WEBHOOK_NETWORKS_ALLOWED": "127.0.0.0/8"}
        self._environment = {**os.environ, **{f"TRUNKLINE_{name}": text for name, text in known.items()}, DIRECTORY: str(folder)}
        self.faults = folder

    async def start(self) -> None:
        with (self.faults / "log").open("ab") as log:
            self.process = warm.start(["trunkline_relay"], self._environment, log)

    async def stop(self) -> None:
        self.process.kill()
        await asyncio.to_thread(self.process.wait, WITHIN)

    def arm(self, point: str) -> None:
        (self.faults / f".{point}").write_text("self")
        (self.faults / f".{point}").rename(self.faults / point)


@dataclass(frozen=True)
class Listener:
    """A webhook at a host of its own, which hears of one submitter alone: what is told to others makes it neither quick nor slow."""

    point: str
    owner: str
    ear: Subscriber
    hook: str


def taking(failures: int) -> Answer:
    """Takes nothing of what is never taken, and of the rest all but so many."""
    left = iter([500] * failures)

    async def answer(came: Came) -> web.StreamResponse:
        lost = came.told["data"]["task_id"].startswith(f"task_{NEVER}")
        return web.Response(status=500 if lost else next(left, 200))

    return answer


@asynccontextmanager
async def relay_on(server: NatsServer, folder: Path) -> AsyncIterator[Relay]:
    relay = Relay(server, folder)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()


@asynccontextmanager
async def listeners(one: Desk) -> AsyncIterator[list[Listener]]:
    async with AsyncExitStack() as stack:
        found: list[Listener] = []
        for count, point in enumerate(TRIED, start=1):
            ear = await stack.enter_async_context(subscriber(taking(point == FAILED)))
            made = await one.active(ear.url, "task.created", owner=f"owner{count}", own_only=True)
            found.append(Listener(point, f"owner{count}", ear, made.webhook.id))
        yield found


async def killed_at(listener: Listener, relay: Relay, one: Desk) -> None:
    """Something happens, the relay dies of telling it, and another one is started."""
    task = listener.owner
    if listener.point in KEPT_FIRST:
        await one.happens(f"{NEVER}{task}", submitted(task))
        await one.ended(listener.hook, DeliveryStatus.RETRYING)  # kept as failed: by then its host is not quick any more, and stays so
    relay.arm(listener.point)
    await one.happens(task, submitted(task))
    await asyncio.to_thread(relay.process.wait, WITHIN)
    await relay.start()


async def test_a_relay_killed_at_any_step_loses_nothing_and_keeps_nothing_twice(tmp_path: Path) -> None:
    with nats_server() as server:
        async with desk(server) as one, relay_on(server, tmp_path) as relay, listeners(one) as told:
            for listener in told:
                await killed_at(listener, relay, one)
            for listener in told:
                (taken,) = await one.ended(listener.hook, DeliveryStatus.DELIVERED)
                kept = (await one.deliveries(listener.hook)).deliveries
                assert taken.task_id == listener.owner
                assert sorted(delivery.task_id for delivery in kept if delivery.id != taken.id) == (
                    [f"{NEVER}{listener.owner}"] if listener.point in KEPT_FIRST else []
                )
                assert {came.id for came in listener.ear.came} == {delivery.id for delivery in kept}
