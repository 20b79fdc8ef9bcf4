"""Lets pages of chosen origins ask some paths: what their browsers must be told, and nothing for anybody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from trunkline_gateway.dialect import covers

ANY: Final = "*"
_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"
_HEADERS: Final = "Authorization, Content-Type, X-API-Key, Idempotency-Key, Last-Event-ID, X-Request-Id"
_SHOWN: Final = "Retry-After, X-Request-Id, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"
_REMEMBERED_S: Final = "600"


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

    async def dress(self, request: web.Request, response: web.StreamResponse) -> None:
        """Says so on the answer. No credential is ever sent along by itself, so none is allowed to be."""
        if not self.origins or not self.covers(request):
            return
        response.headers.add("Vary", "Origin")
        if self.lets(request):
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Expose-Headers"] = _SHOWN


def preflight(cors: Cors) -> Middleware:
    """Answers what browsers ask beforehand; from others it is a method that nobody takes."""

    @web.middleware
    async def asked_before(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers or not cors.lets(request):
            return await handler(request)
        told = {
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": _HEADERS,
            "Access-Control-Max-Age": _REMEMBERED_S,
        }
        return web.Response(status=204, headers=told)

    return asked_before
