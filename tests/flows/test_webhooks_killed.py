"""A relay that is killed at any step loses no delivery and keeps none twice; what is sent again comes by the same id."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from tests.flows.ear import Came, Subscriber, subscriber
from tests.flows.test_webhooks import KEY, Desk, desk
from tests.unit.relay.timelines import submitted
from trunkline.contracts.webhook import DeliveryStatus
from trunkline.runtime.faults import DIRECTORY
from trunkline.testing.nats import NatsServer, nats_server

pytestmark = [pytest.mark.flow, pytest.mark.timeout(180)]
WITHIN = 40.0
KEPT_FIRST = ("webhook_kept.before_effect", "webhook_kept.after_effect")
"""Passed only when the host is not known to be quick: it failed just now."""
POINTS = (*KEPT_FIRST, "webhook_sent.before_effect", "webhook_sent.after_effect", "webhook_sent.before_record", "webhook_sent.after_record")


class Relay:
    """Its own process, which can be killed."""

    def __init__(self, server: NatsServer, folder: Path) -> None:
        known = {"NATS_URL": server.url, "VAULT_KEY": KEY, "WEBHOOK_NETWORKS_ALLOWED": "127.0.0.0/8"}
        self._environment = {**os.environ, **{f"TRUNKLINE_{name}": text for name, text in known.items()}, DIRECTORY: str(folder)}
        self.faults = folder

    async def start(self) -> asyncio.subprocess.Process:
        self.process = await asyncio.create_subprocess_exec(sys.executable, "-m", "trunkline_relay", env=self._environment)
        return self.process

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    def arm(self, point: str) -> None:
        (self.faults / f".{point}").write_text("self")
        (self.faults / f".{point}").rename(self.faults / point)


def failing(ear: Subscriber, tries: int) -> None:
    """Its next answers are 500."""
    left = iter([500] * tries)

    async def answer(_: Came) -> web.StreamResponse:
        return web.Response(status=next(left, 200))

    ear.answer = answer


@asynccontextmanager
async def relay_on(server: NatsServer, folder: Path) -> AsyncIterator[Relay]:
    relay = Relay(server, folder)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()


async def killed_at(point: str, relay: Relay, one: Desk, ear: Subscriber, task: str) -> None:
    """Something happens, the relay dies of telling it, and another one is started."""
    if point in KEPT_FIRST:
        failing(ear, 1)
        await one.happens(f"before{task}", submitted())
        await ear.heard(len(ear.came) + 1)
    failing(ear, point == "webhook_sent.before_record")
    relay.arm(point)
    await one.happens(task, submitted())
    async with asyncio.timeout(WITHIN):
        await relay.process.wait()
    await relay.start()


async def test_a_relay_killed_at_any_step_loses_nothing_and_keeps_nothing_twice(tmp_path: Path) -> None:
    with nats_server() as server:
        async with subscriber() as ear, desk(server) as one, relay_on(server, tmp_path) as relay:
            made = await one.active(ear.url, "task.created")
            for count, point in enumerate(POINTS, start=1):
                await killed_at(point, relay, one, ear, f"t{count}")
                told = await one.ended(made.webhook.id, DeliveryStatus.DELIVERED, count + min(count, len(KEPT_FIRST)))
            assert sorted(delivery.task_id for delivery in told) == sorted({came.told["data"]["task_id"][5:] for came in ear.came})
            assert {came.id for came in ear.came} == {delivery.id for delivery in told}
