"""A Daytona of our own: the parts of its API and toolbox that the provider uses, on the loopback, over real processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from pydantic import JsonValue

from trunkline.testing.fake_daytona.boxes import Box
from trunkline.testing.fake_daytona.control import Control
from trunkline.testing.fake_daytona.faults import FAULTS, Faults, Handler, faulty
from trunkline.testing.fake_daytona.toolbox import Toolbox

KEY = "dtn_fake"


@dataclass(slots=True)
class FakeDaytona:
    """`boot_s` is how long a sandbox takes; `check` is told every reply, by the name that the SDK has for it."""

    root: Path
    boot_s: float = 0.0
    page: int = 100
    check: Callable[[str, Mapping[str, JsonValue]], None] = lambda _, __: None
    faults: Faults = field(default_factory=Faults)
    boxes: dict[str, Box] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    """The names of the calls, as faults are armed by."""
    url: str = ""
    toolbox: str = ""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[FakeDaytona]:
        """Until the block ends; then every sandbox is gone."""
        app = web.Application(middlewares=[self._guarded, faulty], client_max_size=1 << 32)
        app[FAULTS] = self.faults
        app.add_routes([*Control(self).routes(), *Toolbox(self).routes()])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url, self.toolbox = f"http://{host}:{port}/api", f"http://{host}:{port}/toolbox"
        try:
            yield self
        finally:
            for box in list(self.boxes.values()):
                box.remove()
            await runner.cleanup()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def make(self, body: Mapping[str, JsonValue], ready_at: float) -> Box:
        box = Box(self.root, body, ready_at)
        box.dir = self.root / box.id
        box.home.mkdir(parents=True)
        self.boxes[box.id] = box
        return box

    def box(self, request: web.Request) -> Box:
        """By id or name. Raises KeyError."""
        wanted = request.match_info["id"]
        return self.boxes[next((box.id for box in self.boxes.values() if wanted in (box.id, box.name)), wanted)]

    def running(self, request: web.Request) -> Box:
        """Raises KeyError, or a 400 when it is not running."""
        box, call = self.box(request), request.match_info.route.name or ""
        if self.faults.strikes(call, "vanish"):
            del self.boxes[box.id]
            box.remove()
            raise KeyError(box.id)
        if self.faults.strikes(call, "lies"):
            self.halt(box)
            box.lies = True
        box.settle()
        if box.state != "started":
            raise web.HTTPBadRequest(text='{"statusCode": 400, "message": "the sandbox is not running"}', content_type="application/json")
        return box

    def halt(self, box: Box) -> None:
        """Stop it as a machine is stopped: its files stay."""
        box.kill()
        box.sessions.clear()
        box.state = "stopped"

    def reply(self, model: str, body: Mapping[str, JsonValue], status: int = 200) -> web.Response:
        self.check(model, body)
        return web.json_response(body, status=status)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.seen.append(request.match_info.route.name or request.path)
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({"statusCode": 401, "message": "Unauthorized", "error": "Unauthorized"}, status=401)
        try:
            return await handler(request)
        except (KeyError, ValueError) as missing:
            return web.json_response({"statusCode": 404, "message": f"{missing} is not here", "error": "Not Found"}, status=404)
