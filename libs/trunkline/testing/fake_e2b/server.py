"""An E2B of our own: the parts of its API and of its sandboxes' daemon that the provider uses, on the loopback, over real processes."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from pydantic import JsonValue

from trunkline.testing.fake_cloud.builds import Builds
from trunkline.testing.fake_cloud.faults import CALL, Faults, Handler
from trunkline.testing.fake_cloud.places import Place
from trunkline.testing.fake_cloud.serving import served
from trunkline.testing.fake_cloud.storage import Storage
from trunkline.testing.fake_e2b.boxes import Box
from trunkline.testing.fake_e2b.control import Control
from trunkline.testing.fake_e2b.inside import START, Inside
from trunkline.testing.fake_e2b.templates import Templates

KEY = "e2b_fake"


@dataclass(slots=True)
class FakeE2b:
    """`boot_s` is how long a sandbox takes; `check` is told every reply, by the name that the SDK has for it; `image` is in each home."""

    root: Path
    boot_s: float = 0.0
    page: int = 100
    check: Callable[[str, Mapping[str, JsonValue]], None] = lambda _, __: None
    faults: Faults = field(default_factory=Faults)
    storage: Storage = field(default_factory=Storage)
    builds: Builds = field(init=False)
    boxes: dict[str, Box] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    """The names of the calls, as faults are armed by."""
    url: str = ""
    image: Path | None = None

    def __post_init__(self) -> None:
        self.builds = Builds(self.faults)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[FakeE2b]:
        """Until the block ends; then every sandbox is gone."""
        routes = [*Control(self).routes(), *Templates(self).routes(), *self.storage.routes(), *Inside(self).routes()]
        async with served(routes, self.faults, self._guarded) as url:
            self.url = url
            try:
                yield self
            finally:
                for box in self.boxes.values():
                    box.place.remove()
                await self.builds.clear()

    def make(self, body: Mapping[str, JsonValue], ready_at: float = 0.0) -> Box:
        """Raises a 404 when what it begins with is not there."""
        id = "i" + secrets.token_hex(10)
        box = self.boxes[id] = Box(Place(self.root / id, self._begins_with(str(body.get("templateID") or "base"))), id, body, ready_at)
        box.place.lay_out()
        return box

    def _begins_with(self, template: str) -> Path | None:
        if template == "base":
            return self.image
        image = self.builds.images.get(template)
        if image is None or image.state != "ready":
            raise web.HTTPNotFound(text=f'{{"code": 404, "message": "template \'{template}\' not found"}}', content_type="application/json")
        return image.place.home

    def plant(self, labels: Mapping[str, str], name: str) -> Box:
        """One that somebody made without us; they have no names."""
        return self.make({"metadata": dict(labels)})

    def twin(self, box: Box) -> Box:
        return self.make(box.body)

    def remove(self, box: Box) -> None:
        self.boxes.pop(box.id, None)
        box.place.remove()

    def expire(self, box: Box) -> None:
        """Its time is over: it is put to rest or deleted, as was wished when it was made."""
        if box.body.get("autoPause"):
            box.rest()
        else:
            self.remove(box)

    def running(self, request: web.Request) -> Box:
        """Raises what the proxy before a sandbox answers when it does not run, or its daemon is not up."""
        box, call = self.boxes.get(request.headers.get("E2b-Sandbox-Id", "")), request[CALL]
        if box is not None and self.faults.strikes(call, "vanish"):
            self.remove(box)
            box = None
        if box is not None and self.faults.strikes(call, "lies"):
            box.place.kill()
            box.state, box.lies = "paused", True
        if box is None or box.state != "running":
            raise _gateway("The sandbox was not found")
        if not box.up:
            raise _gateway("The sandbox is running but port is not open")
        if request.headers.get("X-Access-Token") != box.token:
            raise web.HTTPUnauthorized(text='{"code": 401, "message": "unauthorized"}', content_type="application/json")
        return box

    def reply(self, model: str, body: Mapping[str, JsonValue], status: int = 200) -> web.Response:
        self.check(model, body)
        return web.json_response(body, status=status)

    def reply_all(self, model: str, bodies: Sequence[Mapping[str, JsonValue]]) -> web.Response:
        for body in bodies:
            self.check(model, body)
        return web.json_response(bodies)

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        call = str(request.match_info.route.name or request.path)
        request[CALL] = "logs" if request.path == START and b" follow " in await request.read() else call
        self.seen.append(request[CALL])
        if not request.path.startswith("/storage/") and "E2b-Sandbox-Id" not in request.headers and request.headers.get("X-API-KEY") != KEY:
            return web.json_response({"code": 401, "message": "Unauthorized"}, status=401)
        try:
            return await handler(request)
        except (KeyError, ValueError) as missing:
            return web.json_response({"code": 404, "message": f"{missing} is not here"}, status=404)


def _gateway(said: str) -> web.HTTPBadGateway:
    return web.HTTPBadGateway(text=f'{{"code": 502, "message": "{said}"}}', content_type="application/json")
