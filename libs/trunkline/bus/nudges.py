"""A bell for one task: rings when something was stored that somebody waits for. What rang is read from the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from trunkline.contracts import subjects
from trunkline.contracts.ids import TaskId, TenantId


class Bell:
    """Rings at each record of the parts that it listens to. It may ring too often, and, rarely, not at all: have a second leg."""

    def __init__(self, client: Client, tenant: TenantId, task: TaskId) -> None:
        self.rung = asyncio.Event()
        self._client = client
        self._names = tenant, task
        self._heard: dict[str, Subscription] = {}

    async def listen(self, part: str) -> None:
        """Also for this part, from now on; a part that is listened to already changes nothing. Never fails: it only rings less."""
        if part in self._heard:
            return
        with suppress(NatsError, TimeoutError):
            self._heard[part] = await self._client.subscribe(subjects.LIVE_PREFIX + subjects.event(*self._names, part), cb=self._ring)

    async def silence(self) -> None:
        for subscription in self._heard.values():
            with suppress(NatsError, TimeoutError):
                await subscription.unsubscribe()

    async def _ring(self, _: Msg) -> None:
        self.rung.set()


class Nudges:
    def __init__(self, client: Client) -> None:
        self._client = client

    @asynccontextmanager
    async def on(self, tenant: TenantId, task: TaskId, *parts: str) -> AsyncIterator[Bell]:
        """A bell that listens to these parts inside the block."""
        bell = Bell(self._client, tenant, task)
        try:
            for part in parts:
                await bell.listen(part)
            yield bell
        finally:
            await bell.silence()
