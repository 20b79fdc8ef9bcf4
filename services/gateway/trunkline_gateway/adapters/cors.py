"""Lets pages of chosen origins ask some paths: what their browsers must be told, and nothing for anybody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from trunkline_gateway.dialect import covers
from trunkline_gateway.dressing import VISIT

ANY: Final = "*"
_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"
_HEADERS: Final = "Authorization, Content-Type, X-API-Key, Idempotency-Key, Last-Event-ID, X-Request-Id"
_SHOWN: Final = "Retry-After, X-Request-Id, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"
_REMEMBERED_S: Final = "600"
_VARY: Final = (("Vary", "Origin"),)
_EXPOSED: Final = ("Access-Control-Expose-Headers", _SHOWN)


@dataclass(frozen=True, slots=True)
class Cors:
    """`origins` as browsers write them (`https://app.example.com`), or `*`; `claims` are the paths that they may ask."""

    origins: frozenset[str]
    claims: Sequence[str]

    def lets(self, request: web.BaseRequest) -> bool:
        """Whether the request comes from a page that may."""
        origin = request.headers.get("Origin")
        known = origin is not None and (ANY in self.origins or origin.lower() in self.origins)
        return known and self.covers(request)

    def covers(self, request: web.BaseRequest) -> bool:
        """Whether it is for one of the paths that pages of other origins may be let in to."""
        return any(covers(claim, request.path) for claim in self.claims)

    def note(self, request: web.Request) -> None:
        """What its answer will say of that. No credential is ever sent along by itself, so none is allowed to be."""
        if not self.covers(request):
            return
        request[VISIT].shows = _VARY
        if self.lets(request):
            request[VISIT].shows = (*_VARY, ("Access-Control-Allow-Origin", request.headers["Origin"]), _EXPOSED)

    def preflight(self, request: web.Request) -> web.Response | None:
        """Answers what browsers ask beforehand; from others it is a method that nobody takes."""
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers or not self.lets(request):
            return None
        told = {
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": _HEADERS,
            "Access-Control-Max-Age": _REMEMBERED_S,
        }
        return web.Response(status=204, headers=told)
