"""Puts the dialects together: one server, errors in the shape of whoever claims the path, one log line a request."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware
from multidict import istr

from trunkline.auth.policy import Action
from trunkline.runtime.ids import new_id
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import COUNTED, Dialect, Route, owners
from trunkline_gateway.pipeline import Identify, Pipeline
from trunkline_gateway.ports import Counted, Limiter, Memory
from trunkline_gateway.refusals import CLIENT_LEFT, REQUEST_ID, Answering, spoken

log = structlog.get_logger()

CLAIMS: Final = web.AppKey("claims", tuple[str, ...])
"""Every path prefix that a dialect answers for."""
Check = Callable[[web.Request], None]
CHECKS: Final = web.AppKey("checks", list[Check])
"""Asked of every request before anything is read of it; they may raise a refusal."""
_ID: Final = re.compile(r"\A[A-Za-z0-9_-]{1,64}\Z")
_NAME: Final = re.compile(r"\{[A-Za-z_]\w*")
_SERVER: Final = istr("Server")
_REQUEST_ID: Final = istr("X-Request-Id")
_HEADERS: Final = (
    (istr("X-Content-Type-Options"), "nosniff"),
    (istr("X-Frame-Options"), "DENY"),
    (istr("Referrer-Policy"), "no-referrer"),
    (istr("Content-Security-Policy"), "default-src 'none'; frame-ancestors 'none'"),
    (istr("Cache-Control"), "no-store"),
)


def build(
    dialects: Sequence[Dialect], identify: Identify, limiter: Limiter, memory: Memory, body: BodyReader | None = None
) -> web.Application:
    """`body` bounds what is read of a request that may be a repeat. Raises RuntimeError for routes that cannot stand together, have no
    rule, or name a limit that there is not."""
    pipeline = Pipeline(identify, limiter, memory, body or BodyReader())
    served: dict[object, Dialect] = {}
    checks: list[Check] = [pipeline.screen]
    app = web.Application(middlewares=[_speaking(owners(dialects), served, checks)])
    app[CHECKS] = checks
    taken: set[tuple[str, str]] = set()
    for dialect in dialects:
        for route in dialect.routes():
            _check(route, taken, limiter.names)
            answer = pipeline.guarded(route, dialect)
            served[answer] = dialect
            for method in _methods(route):
                app.router.add_route(method, route.path, answer)
    app[CLAIMS] = tuple(claim for dialect in dialects for claim in dialect.claims)
    app.on_response_prepare.append(_dress)
    return app


def _methods(route: Route) -> tuple[str, ...]:
    return ("GET", "HEAD") if route.method == "GET" and not route.streams else (route.method,)


def _check(route: Route, taken: set[tuple[str, str]], limits: frozenset[str]) -> None:
    where = f"{route.method} {route.path}"
    if not isinstance(route.rule, Action):
        raise RuntimeError(f"{where} has no rule that says who may: give it an Action")
    if route.limit and route.limit not in limits:
        raise RuntimeError(
            f"{where} is counted by the limit {route.limit!r}, which is not configured; there are {', '.join(sorted(limits))}"
        )
    for method in _methods(route):
        place = (method, _NAME.sub("{", route.path))
        if place in taken:
            raise RuntimeError(f"{where} is served twice: aiohttp would only ever ask the first")
        taken.add(place)


def _speaking(owner: Callable[[str], Dialect], served: Mapping[object, Dialect], checks: Sequence[Check]) -> Middleware:
    """`served` tells whose a route is; what is none is its owner's by the path."""

    told = log.bind()  # a logger that is not bound yet is looked up for every line, and for every one that is not written

    @web.middleware
    async def speak(request: web.Request, handler: Answering) -> web.StreamResponse:
        began = asyncio.get_running_loop().time()
        dialect = served.get(request.match_info.handler) or owner(request.path)
        request[REQUEST_ID] = _request_id(request)
        status = CLIENT_LEFT
        try:
            response = await spoken(request, handler, dialect, checks)
            status = response.status
            return response
        finally:
            if told.is_enabled_for(logging.INFO):
                took = round((asyncio.get_running_loop().time() - began) * 1000, 1)
                told.info(
                    "http.request", id=request[REQUEST_ID], dialect=dialect.name, method=request.method[:16],
                    path=request.path[:200], status=status, took_ms=took,
                )  # fmt: skip

    return speak


def _request_id(request: web.Request) -> str:
    """The caller's, when it is harmless, so that its log and ours meet."""
    given = request.headers.get("X-Request-Id", "")
    return given if _ID.match(given) else new_id()


async def _dress(request: web.Request, response: web.StreamResponse) -> None:
    headers = response.headers
    headers[_SERVER] = "trunkline"
    headers[_REQUEST_ID] = request.get(REQUEST_ID, "")
    for name, value in _HEADERS:
        headers.setdefault(name, value)
    if counted := cast("Counted | None", request.get(COUNTED)):
        quota = await counted.quota()
        headers["X-RateLimit-Limit"] = str(quota.limit)
        headers["X-RateLimit-Remaining"] = str(quota.remaining)
        headers["X-RateLimit-Reset"] = str(quota.resets_at)
