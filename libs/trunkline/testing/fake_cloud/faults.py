"""What may go wrong at an emulated cloud, armed by name: the call, and how it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

KINDS: Final = ("timeout", "500", "429", "lost", "cut", "never_ready", "vanish", "lies", "fails")
"""No answer; two refusals; done without an answer; the connection ends before it is done; the last four are done to a sandbox or an image.

`logs` may be `cut` as well: its websocket ends in the middle, as a server that restarts ends it."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Faults:
    """How often which call fails yet."""

    armed: dict[tuple[str, str], int] = field(default_factory=dict)
    struck: list[tuple[str, str]] = field(default_factory=list)

    def arm(self, call: str, kind: str, times: int = 1) -> None:
        """`call` is the name of a route, as create, list, get, delete, exec, upload, logs; of images: build, image, images, drop."""
        assert kind in KINDS, kind
        self.armed[call, kind] = times

    def strikes(self, call: str, kind: str) -> bool:
        """Whether this fault happens now; counts it."""
        left = self.armed.get((call, kind), 0)
        if left <= 0:
            return False
        self.armed[call, kind] = left - 1
        self.struck.append((call, kind))
        return True


@web.middleware
async def faulty(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Fails as it is armed, around whatever the call does."""
    faults: Faults = request.app[FAULTS]
    call = name(request)
    if faults.strikes(call, "timeout"):
        await asyncio.sleep(3600)
    for kind in ("500", "429"):
        if faults.strikes(call, kind):
            body = {"statusCode": int(kind), "code": int(kind), "message": f"armed: {call} {kind}", "error": "armed"}
            return web.json_response(body, status=int(kind), headers={"Retry-After": "1"} if kind == "429" else {})
    if call != "logs" and faults.strikes(call, "cut"):
        return _hung_up(request)
    answer = await handler(request)
    return _hung_up(request) if faults.strikes(call, "lost") else answer


def name(request: web.Request) -> str:
    """What a call is armed by: what it was found to be, else the name of its route."""
    return str(request.get(CALL) or request.match_info.route.name or "")


def _hung_up(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


CALL: Final = web.RequestKey("call", str)
FAULTS: Final = web.AppKey("faults", Faults)
