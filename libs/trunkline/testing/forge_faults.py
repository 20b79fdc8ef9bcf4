"""Faults of a forge as tests order them: refusals, silences and cut connections, before or after the effect."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

Answer = Callable[[], Awaitable[web.StreamResponse]]

KINDS = (
    "401",
    "403",
    "403-rate",
    "403-secondary",
    "404",
    "409",
    "422",
    "429",
    "500",
    "502",
    "silent",
    "silent-after",
    "reset",
    "reset-after",
)
_HANG_S = 60.0
_SAID = {
    "401": "Bad credentials",
    "403": "Resource not accessible by integration",
    "403-rate": "API rate limit exceeded for installation.",
    "403-secondary": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
    "404": "Not Found",
    "409": "Git Repository is empty.",
    "422": "Validation Failed",
    "403-locked": "Maximum number of login attempts exceeded. Please try again later.",
    "429": "Too many requests",
}


@dataclass(slots=True)
class Fault:
    """What becomes of the next `times` calls of a step. `silent` is never answered, `-after` has its effect first; `garbage` is a page of
    somebody else's."""

    step: str
    kind: str
    times: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)
    repo: str = ""
    """`owner/name`; empty: any."""

    async def befall(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        what, _, when = self.kind.partition("-")
        if what == "garbage":
            return web.Response(text="<html>a proxy's page</html>", content_type="text/html")
        if when == "after":
            await answer()
        if what == "silent":
            await asyncio.sleep(_HANG_S)
        if what in ("silent", "reset"):
            return _cut(request)
        return refusal(int(what), _SAID.get(self.kind, "Server Error"), self.headers)


def refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """In the shape of GitHub's API."""
    return web.json_response({"message": message, "documentation_url": ""}, status=status, headers=headers or {})


def _cut(request: web.Request) -> web.StreamResponse:
    """As a crash of the other side does it: with a reset, and no byte."""
    if request.transport is not None:
        line = request.transport.get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response()
