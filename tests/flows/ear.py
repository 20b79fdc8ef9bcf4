"""Somebody in the test's own loop who is told by webhooks: keeps what came and answers as the test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web


@dataclass
class Came:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(self.body)
        return found

    @property
    def type(self) -> str:
        return str(self.told["type"])

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


Answer = Callable[[Came], Awaitable[web.StreamResponse]]


@dataclass
class Subscriber:
    """Answers challenges by itself; everything else with `answer`."""

    url: str = ""
    came: list[Came] = field(default_factory=list)
    asked: list[Came] = field(default_factory=list)
    answer: Answer | None = None
    verifies: bool = True
    closes: bool = False
    """Keeps no connection after a challenge: the next request looks its name up again."""
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.StreamResponse:
        came = Came(request.path, {name.lower(): text for name, text in request.headers.items()}, await request.read())
        if came.type == "webhook.verify":
            self.asked.append(came)
            told = {"challenge": came.told["data"]["challenge"]} if self.verifies else {}
            return web.json_response(told, headers={"Connection": "close"} if self.closes else None)
        self.came.append(came)
        self._more.set()
        return await self.answer(came) if self.answer else web.Response(text="thanks")

    async def heard(self, count: int, seconds: float = 30.0) -> list[Came]:
        """What came, once there is so much of it."""
        async with asyncio.timeout(seconds):
            while len(self.came) < count:
                self._more.clear()
                await self._more.wait()
        return self.came


@asynccontextmanager
async def subscriber(answer: Answer | None = None) -> AsyncIterator[Subscriber]:
    one = Subscriber(answer=answer)
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", one.take)
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    one.url = f"http://{host}:{port}"
    try:
        yield one
    finally:
        await runner.cleanup()


def always(status: int, headers: dict[str, str] | None = None, body: str = "") -> Answer:
    async def answer(_: Came) -> web.StreamResponse:
        return web.Response(status=status, headers=headers, text=body)

    return answer
