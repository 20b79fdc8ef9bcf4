"""Acknowledgements wait a moment for company: nobody waits for one, and each alone would cost a write here and a read at the server."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from trunkline.bus.writing import publish_all

GATHER: Final = 0.005
"""Seconds; far less than the server waits before it delivers again."""
LEISURE: Final = 0.05
"""Seconds, of what was passed over: where nothing was done, not even a repeat costs anything."""
MOST: Final = 32
"""Of a server's patience with a consumer (256 unacknowledged messages) this is little."""


class Acks:
    """What was done and is not told yet. What is never told comes again, and is found to be done."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._done: list[Msg] = []
        self._timer: asyncio.TimerHandle | None = None
        self._telling: set[asyncio.Task[None]] = set()

    async def put(self, message: Msg) -> None:
        """The message need not come again."""
        await self._put(message, GATHER)

    async def passed(self, message: Msg) -> None:
        """As `put`, of one that was looked at and left."""
        await self._put(message, LEISURE)

    async def _put(self, message: Msg, within: float) -> None:
        self._done.append(message)
        if len(self._done) >= MOST:
            await self.flush()
            return
        loop = asyncio.get_running_loop()
        if self._timer is not None and self._timer.when() > loop.time() + within:
            self._stand_down()
        if self._timer is None:
            self._timer = loop.call_later(within, self._tell)

    def _stand_down(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    async def flush(self) -> None:
        """Tell what is waiting to be told, all in one write."""
        self._stand_down()
        done, self._done = self._done, []
        with suppress(NatsError):
            await publish_all(self._client, [(message.reply, b"") for message in done])

    def _tell(self) -> None:
        task = asyncio.get_running_loop().create_task(self.flush())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)
