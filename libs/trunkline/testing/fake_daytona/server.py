"""A Daytona of our own: the parts of its API and toolbox that the provider uses, on the loopback, over real processes."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from pydantic import JsonValue

from trunkline.testing.fake_cloud.builds import Builds
from trunkline.testing.fake_cloud.faults import Faults, Handler
from trunkline.testing.fake_cloud.places import Place
from trunkline.testing.fake_cloud.serving import served
from trunkline.testing.fake_cloud.storage import Storage
from trunkline.testing.fake_daytona.boxes import Box
from trunkline.testing.fake_daytona.control import Control
from trunkline.testing.fake_daytona.snapshots import Snapshots
from trunkline.testing.fake_daytona.toolbox import Toolbox

KEY = "dtn_fake"


@dataclass(slots=True)
class FakeDaytona:
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
    toolbox: str = ""
    image: Path | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.builds = Builds(self.faults)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[FakeDaytona]:
        """Until the block ends; then every sandbox is gone."""
        routes = [*Control(self).routes(), *Snapshots(self).routes(), *self.storage.routes(), *Toolbox(self).routes()]
        async with served(routes, self.faults, self._guarded) as url:
            self.url, self.toolbox = f"{url}/api", f"{url}/toolbox"
            try:
                yield self
            finally:
                for box in self.boxes.values():
                    box.place.remove()
                await self.builds.clear()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    def make(self, body: Mapping[str, JsonValue], ready_at: float) -> Box:
        """Raises KeyError, or a 400 when what it begins with is not there."""
        id = str(uuid.uuid4())
        box = Box(Place(self.root / id, self._begins_with(str(body.get("snapshot") or ""))), body, ready_at, id)
        box.place.lay_out()
        self.boxes[box.id] = box
        return box

    def _begins_with(self, snapshot: str) -> Path | None:
        if not snapshot:
            return self.image
        image = self.builds.images.get(snapshot)
        if image is None or image.state != "ready":
            said = f"Snapshot {snapshot} {'is not active' if image else 'not found'}"
            raise web.HTTPBadRequest(text=json.dumps({"statusCode": 400, "message": said}), content_type="application/json")
        return image.place.home

    def plant(self, labels: Mapping[str, str], name: str) -> Box:
        """One that somebody made without us."""
        return self.make({"name": name, "labels": dict(labels)}, 0.0)

    def twin(self, box: Box) -> Box:
        return self.make({**box.body, "name": f"{box.name}-twin"}, 0.0)

    def remove(self, box: Box) -> None:
        self.boxes.pop(box.id, None)
        box.place.remove()

    def box(self, request: web.Request) -> Box:
        """By id or name. Raises KeyError."""
        wanted = request.match_info["id"]
        return self.boxes[next((box.id for box in self.boxes.values() if wanted in (box.id, box.name)), wanted)]

    def running(self, request: web.Request) -> Box:
        """Raises KeyError, or a 400 when it is not running."""
        box, call = self.box(request), request.match_info.route.name or ""
        if self.faults.strikes(call, "vanish"):
            self.remove(box)
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
        box.place.kill()
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
        if not request.path.startswith("/storage/") and request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({"statusCode": 401, "message": "Unauthorized", "error": "Unauthorized"}, status=401)
        try:
            return await handler(request)
        except (KeyError, ValueError) as missing:
            return web.json_response({"statusCode": 404, "message": f"{missing} is not here", "error": "Not Found"}, status=404)
