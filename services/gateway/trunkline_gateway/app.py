"""Puts the dialects together: one server, errors in the shape of whoever claims the path, one log line a request."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware
from multidict import istr

from trunkline.auth.policy import Action
from trunkline.runtime.ids import new_id
from trunkline.telemetry.traces import Span
from trunkline_gateway.dialect import Dialect, Route, owners
from trunkline_gateway.dressing import VISIT, Visit, dress
from trunkline_gateway.observing import UNOBSERVED, Observer
from trunkline_gateway.pipeline import Pipeline
from trunkline_gateway.refusals import CLIENT_LEFT, Answering, refused

log = structlog.get_logger()

CLAIMS: Final = web.AppKey("claims", tuple[str, ...])
"""Every path prefix that a dialect answers for."""
Check = Callable[[web.Request], None]
CHECKS: Final = web.AppKey("checks", list[Check])
"""Asked of every request before anything is read of it; they may raise a refusal."""
_REQUEST_ID: Final = istr("X-Request-Id")
_ID: Final = re.compile(r"\A[A-Za-z0-9_-]{1,64}\Z")
_NAME: Final = re.compile(r"\{[A-Za-z_]\w*")
ELSEWHERE: Final = "(none)"
"""The route of what is no path of ours."""


class Place(NamedTuple):
    """Whose a route is, and how it is declared."""

    dialect: Dialect
    path: str = ELSEWHERE


def build(dialects: Sequence[Dialect], pipeline: Pipeline, observer: Observer = UNOBSERVED) -> web.Application:
    """Raises RuntimeError for routes that cannot stand together, have no rule, or name a limit that there is not."""
    served: dict[object, Place] = {}
    checks: list[Check] = [pipeline.screen]
    app = web.Application(middlewares=[_speaking(owners(dialects), served, checks, observer)])
    app[CHECKS] = checks
    taken: set[tuple[str, str]] = set()
    for dialect in dialects:
        for route in dialect.routes():
            _check(route, taken, pipeline.limiter.names)
            answer = pipeline.guarded(route, dialect)
            served[answer] = Place(dialect, route.path)
            for method in _methods(route):
                app.router.add_route(method, route.path, answer)
    app[CLAIMS] = tuple(claim for dialect in dialects for claim in dialect.claims)
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


def _speaking(owner: Callable[[str], Dialect], served: Mapping[object, Place], checks: Sequence[Check], observer: Observer) -> Middleware:
    """`served` tells whose a route is; what is none is its owner's by the path. All that is done around every request is done in one
    place: a layer of its own for each costs more than what it does."""

    told = log.bind()  # a logger that is not bound yet is looked up for every line, and for every one that is not written

    @web.middleware
    async def speak(request: web.Request, handler: Answering) -> web.StreamResponse:
        began = time.perf_counter()
        dialect, path = served.get(handler) or served.get(request.match_info.handler) or Place(owner(request.path))
        span = observer.begun(request)
        request[VISIT] = visit = Visit(_request_id(request, span), span)
        response: web.StreamResponse | None = None
        with span:
            try:
                for check in checks:
                    check(request)
                response = await handler(request)
            except Exception as error:  # whatever broke, the answer has the shape of its API
                response = refused(error, request, dialect)
            finally:
                if response is None:
                    span.fail("CLIENT_LEFT")
                status, took = response.status if response else CLIENT_LEFT, time.perf_counter() - began
                observer.ended(span, (request.method, path), status, took if type(response) is web.Response else None)
                if told.is_enabled_for(logging.INFO):
                    told.info(
                        "http.request", id=visit.id, dialect=dialect.name, method=request.method[:16],
                        path=request.path[:200], status=status, took_ms=round(took * 1000, 1),
                    )  # fmt: skip
        if not response.prepared:
            await dress(request, response)
        return response

    return speak


def _request_id(request: web.Request, span: Span) -> str:
    """The caller's, when it is harmless, so that its log and ours meet; else that of the trace, where the trace is the request's own."""
    given = request.headers.get(_REQUEST_ID)
    if given and _ID.match(given):
        return given
    return new_id() if span.parent_id else span.trace_id
