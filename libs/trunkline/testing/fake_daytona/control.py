"""The emulated Daytona's own API: sandboxes made, found, started, stopped and deleted."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING

from aiohttp import web
from pydantic import JsonValue

from trunkline.testing.fake_cloud.faults import FAULTS
from trunkline.testing.fake_daytona.boxes import Box

if TYPE_CHECKING:
    from trunkline.testing.fake_daytona.server import FakeDaytona


class Control:
    """The routes below /api."""

    def __init__(self, fake: FakeDaytona) -> None:
        self._fake = fake

    def routes(self) -> list[web.RouteDef]:
        one = "/api/sandbox/{id}"
        return [
            web.post("/api/sandbox", self.create, name="create"),
            web.get("/api/sandbox", self.list, name="list"),
            web.get(one, self.get, name="get"),
            web.delete(one, self.delete, name="delete"),
            web.post(one + "/start", self.start, name="start"),
            web.post(one + "/stop", self.stop, name="stop"),
        ]

    async def create(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("name") and any(box.name == body["name"] for box in self._fake.boxes.values()):
            return web.json_response({"statusCode": 409, "message": "a sandbox of that name exists", "error": "Conflict"}, status=409)
        never = request.app[FAULTS].strikes("create", "never_ready")
        box = self._fake.make(body, math.inf if never else time.monotonic() + self._fake.boot_s)
        return self._told(box)

    async def list(self, request: web.Request) -> web.Response:
        wanted = json.loads(request.query.get("labels") or "{}")
        found = [box for box in self._fake.boxes.values() if wanted.items() <= _labels(box).items()]
        first = int(request.query.get("cursor") or 0)
        limit = min(int(float(request.query.get("limit") or self._fake.page)), self._fake.page)
        items: list[JsonValue] = [dict(box.told(self._fake.toolbox)) for box in found[first : first + limit]]
        return self._fake.reply(
            "ListSandboxesResponse", {"items": items, "nextCursor": str(first + limit) if first + limit < len(found) else None}
        )

    async def get(self, request: web.Request) -> web.Response:
        return self._told(self._fake.box(request))

    async def delete(self, request: web.Request) -> web.Response:
        box = self._fake.box(request)
        self._fake.remove(box)
        box.state = "destroyed"
        return self._told(box)

    async def start(self, request: web.Request) -> web.Response:
        box = self._fake.box(request)
        if box.state == "stopped":
            box.state, box.ready_at = "starting", time.monotonic() + self._fake.boot_s
        return self._told(box)

    async def stop(self, request: web.Request) -> web.Response:
        box = self._fake.box(request)
        self._fake.halt(box)
        return self._told(box)

    def _told(self, box: Box) -> web.Response:
        return self._fake.reply("Sandbox", box.told(self._fake.toolbox))


def _labels(box: Box) -> dict[str, JsonValue]:
    labels = box.body.get("labels")
    return labels if isinstance(labels, dict) else {}
