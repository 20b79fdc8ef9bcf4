"""A model door with a client before it and a scripted model behind it, for the tests of the door."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

from trunkline.testing.scripted_model import ScriptedModel, scripted_model
from trunkline.testing.till import OpenTill
from trunkline_sandbox.adapters.model.door import model_door, model_session
from trunkline_sandbox.adapters.model.keys import DoorKey, DoorKeys
from trunkline_sandbox.adapters.model.shapes import Upstream, Upstreams
from trunkline_sandbox.ports import Till

KEY = "sk-real-key-000111"
ASK = {"model": "m", "stream": True, "tools": [{"name": "Read"}], "messages": [{"role": "user", "content": "go"}]}


@dataclass(frozen=True)
class Agent:
    """A client at the inner side of the door."""

    door: DoorKey
    session: aiohttp.ClientSession
    till: OpenTill = field(default_factory=OpenTill)

    def headers(self) -> dict[str, str]:
        return {"x-api-key": self.door.token}

    async def post(self, path: str = "/v1/messages", **more: object) -> tuple[int, str]:
        options = {"json": ASK, "headers": self.headers(), **more}
        async with self.session.post(f"http://model.internal{path}", **options) as answer:  # type: ignore[arg-type]
            return answer.status, await answer.text()


@asynccontextmanager
async def behind_a_door(folder: Path, upstream: Upstream | Upstreams, till: Till | None = None) -> AsyncIterator[Agent]:
    door = DoorKeys(folder, b"secret")("run-1")
    booked = OpenTill()
    upstreams = upstream if isinstance(upstream, Upstreams) else Upstreams(upstream)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(model_session())
        await stack.enter_async_context(model_door(door, upstreams, session, till or booked))
        client = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(door.socket)), timeout=aiohttp.ClientTimeout(20))
        yield Agent(door, await stack.enter_async_context(client), booked)


@asynccontextmanager
async def upstream_that(answers: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", answers)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@asynccontextmanager
async def scripted(folder: Path, *steps: object) -> AsyncIterator[tuple[Agent, ScriptedModel]]:
    async with (
        scripted_model([tuple(steps)], key=KEY) as model,  # type: ignore[list-item]
        behind_a_door(folder, Upstream(KEY, model.url)) as agent,
    ):
        yield agent, model


def error_of(text: str) -> str:
    body = json.loads(text)
    assert body["type"] == "error"
    return str(body["error"]["type"])
