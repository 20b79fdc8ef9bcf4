"""The headers that every answer of ours bears, whatever it says, and what of its request they tell.

They are put on here and not by aiohttp's signal, which costs more than all of them: whoever prepares an answer of his own dresses it first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy, istr

from trunkline.telemetry.traces import Span
from trunkline.telemetry.w3c import TRACEPARENT
from trunkline_gateway.ports import Counted, Quota


@dataclass(slots=True)
class Visit:
    """What its answer tells of a request, whatever becomes of it."""

    id: str
    span: Span
    counted: Counted | None = None
    """On what a limit counted."""
    shows: Sequence[tuple[str, str]] = ()
    """Headers for the page that it came from."""


VISIT: Final = web.RequestKey("visit", Visit)
"""On every request: one thing, for each that is put there or read costs a call."""
_SERVER: Final = istr("Server")
_REQUEST_ID: Final = istr("X-Request-Id")
_TRACEPARENT: Final = istr(TRACEPARENT)
_LIMIT, _REMAINING, _RESET = istr("X-RateLimit-Limit"), istr("X-RateLimit-Remaining"), istr("X-RateLimit-Reset")
_HEADERS: Final = (
    (istr("X-Content-Type-Options"), "nosniff"),
    (istr("X-Frame-Options"), "DENY"),
    (istr("Referrer-Policy"), "no-referrer"),
    (istr("Content-Security-Policy"), "default-src 'none'; frame-ancestors 'none'"),
    (istr("Cache-Control"), "no-store"),
)
_OURS: Final = "trunkline"
JSON: Final = CIMultiDictProxy(CIMultiDict([(hdrs.CONTENT_TYPE, "application/json"), (_SERVER, _OURS), *_HEADERS]))
"""What an answer in JSON may begin with: to copy them all costs less than to put on one."""


async def dress(request: web.Request, response: web.StreamResponse) -> None:
    """Before it is prepared. What the answer says itself stands."""
    headers, visit = response.headers, request[VISIT]
    headers[_REQUEST_ID] = visit.id
    headers[_TRACEPARENT] = visit.span.traceparent
    if headers.get(_SERVER) != _OURS:  # else it began with them
        headers[_SERVER] = _OURS
        for name, value in _HEADERS:
            headers.setdefault(name, value)
    if visit.counted:
        headers.update(left(await visit.counted.quota()))
    headers.extend(visit.shows)


def left(quota: Quota) -> Sequence[tuple[str, str]]:
    """What a limit leaves, as headers."""
    return (_LIMIT, str(quota.limit)), (_REMAINING, str(quota.remaining)), (_RESET, str(quota.resets_at))
