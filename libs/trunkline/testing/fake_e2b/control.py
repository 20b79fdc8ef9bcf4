"""The emulated E2B's own API: sandboxes made, found, woken, put to rest and deleted."""

from __future__ import annotations

import math
import time
import urllib.parse
from typing import TYPE_CHECKING

from aiohttp import web
from pydantic import JsonValue

from trunkline.testing.fake_cloud.faults import FAULTS
from trunkline.testing.fake_e2b.boxes import Box

if TYPE_CHECKING:
    from trunkline.testing.fake_e2b.server import FakeE2b


class Control:
    """What is asked with the account's key."""

    def __init__(self, fake: FakeE2b) -> None:
        self._fake = fake

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v2/sandboxes", self.create, name="create"),
            web.get("/v2/sandboxes", self.list, name="list"),
            web.get("/sandboxes/{id}", self.get, name="get"),
            web.delete("/sandboxes/{id}", self.delete, name="delete"),
            web.post("/v2/sandboxes/{id}/connect", self.connect, name="connect"),
            web.post("/sandboxes/{id}/pause", self.pause, name="pause"),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """The same key is the same sandbox."""
        body, key = await request.json(), request.headers.get("Idempotency-Key", "")
        box = next((box for box in self._fake.boxes.values() if key and box.key == key), None)
        if box is None:
            never = request.app[FAULTS].strikes("create", "never_ready")
            box = self._fake.make(body, math.inf if never else time.monotonic() + self._fake.boot_s)
            box.key = key
        return self._fake.reply("Sandbox", box.key_told(), 201)

    async def list(self, request: web.Request) -> web.Response:
        wanted = _metadata(request.query.get("metadata", ""))
        states = request.query.get("state", "running,paused").split(",")
        told = [box.listed() for box in self._fake.boxes.values() if wanted.items() <= box.metadata.items()]
        found = [one for one in told if one["state"] in states]
        first = int(request.query.get("nextToken") or 0)
        last = first + min(int(request.query.get("limit") or self._fake.page), self._fake.page)
        answer = self._fake.reply_all("ListedSandbox", found[first:last])
        if last < len(found):
            answer.headers["x-next-token"] = str(last)
        return answer

    async def get(self, request: web.Request) -> web.Response:
        return self._fake.reply("SandboxDetail", {**self._box(request).listed(), "envdAccessToken": self._box(request).token})

    async def delete(self, request: web.Request) -> web.Response:
        self._fake.remove(self._box(request))
        return web.Response(status=204)

    async def connect(self, request: web.Request) -> web.Response:
        box = self._box(request)
        if not box.lies:
            box.wake()
        return self._fake.reply("Sandbox", box.key_told())

    async def pause(self, request: web.Request) -> web.Response:
        box = self._box(request)
        if box.state == "paused":
            return _refused(409, f"sandbox {box.id} is paused already")
        box.rest()
        return web.Response(status=204)

    def _box(self, request: web.Request) -> Box:
        """Raises KeyError."""
        return self._fake.boxes[request.match_info["id"]]


def _metadata(query: str) -> dict[str, JsonValue]:
    """Quoted twice: as names and values, then as a query in a query."""
    return {urllib.parse.unquote(name): urllib.parse.unquote(value) for name, value in urllib.parse.parse_qsl(query)}


def _refused(status: int, said: str) -> web.Response:
    return web.json_response({"code": status, "message": said}, status=status)
