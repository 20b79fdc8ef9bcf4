"""The headers that every answer of ours bears, whatever it says, and what of its request they tell.

They are put on here and not by aiohttp's signal, which costs more than all of them: whoever prepares an answer of his own dresses it first.
"""

from __future__ import annotations

from typing import Final, cast

from aiohttp import web
from multidict import istr

from trunkline.telemetry.traces import Span
from trunkline.telemetry.w3c import TRACEPARENT
from trunkline_gateway.ports import Counted

COUNTED: Final = web.RequestKey("counted", object)
"""On what a limit counted (a Counted): its headers are made of it."""
REQUEST_ID: Final = web.RequestKey("request_id", str)
SPAN: Final = web.RequestKey("span", Span)
_SERVER: Final = istr("Server")
_REQUEST_ID: Final = istr("X-Request-Id")
_TRACEPARENT: Final = istr(TRACEPARENT)
_HEADERS: Final = (
    (istr("X-Content-Type-Options"), "nosniff"),
    (istr("X-Frame-Options"), "DENY"),
    (istr("Referrer-Policy"), "no-referrer"),
    (istr("Content-Security-Policy"), "default-src 'none'; frame-ancestors 'none'"),
    (istr("Cache-Control"), "no-store"),
)


async def dress(request: web.Request, response: web.StreamResponse) -> None:
    """Before it is prepared. What the answer says itself stands."""
    headers = response.headers
    headers[_SERVER] = "trunkline"
    headers[_REQUEST_ID] = request[REQUEST_ID]
    headers[_TRACEPARENT] = request[SPAN].traceparent
    for name, value in _HEADERS:
        headers.setdefault(name, value)
    if counted := cast("Counted | None", request[COUNTED]):
        quota = await counted.quota()
        headers["X-RateLimit-Limit"] = str(quota.limit)
        headers["X-RateLimit-Remaining"] = str(quota.remaining)
        headers["X-RateLimit-Reset"] = str(quota.resets_at)
