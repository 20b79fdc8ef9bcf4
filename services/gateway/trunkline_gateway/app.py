"""Puts the dialects together: one server, errors in the shape of whoever claims the path, one log line a request."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import structlog
from aiohttp import HttpVersion11, hdrs, web
from multidict import istr

from trunkline.auth.policy import Action
from trunkline.contracts.errors import DomainError
from trunkline.runtime.ids import new_id
from trunkline.telemetry.traces import Span
from trunkline_gateway.dialect import PARTS, Dialect, Route, owners
from trunkline_gateway.dressing import VISIT, Visit
from trunkline_gateway.observing import UNOBSERVED, Observer
from trunkline_gateway.paths import Paths
from trunkline_gateway.pipeline import Pipeline
from trunkline_gateway.refusals import CLIENT_LEFT, Answering, refused
from trunkline_gateway.whole import sent

log = structlog.get_logger()

Check = Callable[[web.Request], None]
Early = Callable[[web.Request], web.Response | None]
_REQUEST_ID: Final = istr("X-Request-Id")
_ID: Final = re.compile(r"\A[A-Za-z0-9_-]{1,64}\Z")
_NAME: Final = re.compile(r"\{[A-Za-z_]\w*")
ELSEWHERE: Final = "(none)"
"""The route of what is no path of ours."""


class Place(NamedTuple):
    """Whose a route is, how it is declared, and what answers there."""

    dialect: Dialect
    path: str
    answer: Answering


@dataclass(frozen=True, slots=True)
class Site:
    """All that is spoken here, for a server to ask about each request."""

    paths: Paths[Place]
    owner: Callable[[str], Dialect]
    observer: Observer
    claims: tuple[str, ...]
    """Every path prefix that a dialect answers for."""
    patient: tuple[tuple[str, str], ...] = ()
    """Methods and paths of what may be read a moment later."""
    checks: list[Check] = field(default_factory=list)
    """Asked of every request before anything is read of it; they may raise a refusal."""
    early: list[Early] = field(default_factory=list)
    """Asked next; whoever has an answer gives it, and the route is not asked."""
    told: structlog.typing.FilteringBoundLogger = field(default_factory=log.bind)
    """A logger that is not bound yet is looked up for every line, and for every one that is not written."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """All that is done around every request is done in one place: a layer of its own for each costs more than what it does."""
        began = time.perf_counter()
        method, path = request.method, request.rel_url.path_safe
        try:
            place, request[PARTS] = self.paths.find(method, path)
        except DomainError as error:
            place = Place(self.owner(request.path), ELSEWHERE, _refusing(error))
        span = self.observer.begun(request)
        request[VISIT] = visit = Visit(_request_id(request, span), span)
        response: web.StreamResponse | None = None
        with span:
            try:
                if hdrs.EXPECT in request.headers:
                    await _bid(request)
                for check in self.checks:
                    check(request)
                response = (self._early(request) if self.early else None) or await place.answer(request)
            except Exception as error:  # whatever broke, the answer has the shape of its API
                response = refused(error, request, place.dialect)
            finally:
                if response is None:
                    span.fail("CLIENT_LEFT")
                status, took = response.status if response else CLIENT_LEFT, time.perf_counter() - began
                self.observer.ended(span, (method, place.path), status, took if type(response) is web.Response else None)
                if self.told.is_enabled_for(logging.INFO):
                    self.told.info(
                        "http.request", id=visit.id, dialect=place.dialect.name, method=method[:16],
                        path=request.path[:200], status=status, took_ms=round(took * 1000, 1),
                    )  # fmt: skip
        return response if response.prepared else await sent(request, response)

    def _early(self, request: web.Request) -> web.Response | None:
        return next((found for ask in self.early if (found := ask(request))), None)


def build(dialects: Sequence[Dialect], pipeline: Pipeline, observer: Observer = UNOBSERVED) -> Site:
    """Raises RuntimeError for routes that cannot stand together, have no rule, or name a limit that there is not."""
    paths: Paths[Place] = Paths()
    taken: set[tuple[str, str]] = set()
    for dialect in dialects:
        for route in dialect.routes():
            _check(route, taken, pipeline.limiter.names)
            place = Place(dialect, route.path, pipeline.guarded(route, dialect))
            for method in _methods(route):
                paths.add(method, route.path, place)
    claims = tuple(claim for dialect in dialects for claim in dialect.claims)
    patient = tuple((route.method, route.path) for dialect in dialects for route in dialect.routes() if route.patient)
    return Site(paths, owners(dialects), observer, claims, patient, [pipeline.screen])


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
            raise RuntimeError(f"{where} is served twice: only the first would ever be asked")
        taken.add(place)


def _refusing(error: DomainError) -> Answering:
    async def answer(request: web.Request) -> web.StreamResponse:
        raise error

    return answer


async def _bid(request: web.Request) -> None:
    """The sender waits for a word before it sends the body; one of HTTP/1.0 knows no such word."""
    if request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await request.writer.drain()


def _request_id(request: web.Request, span: Span) -> str:
    """The caller's, when it is harmless, so that its log and ours meet; else that of the trace, where the trace is the request's own."""
    given = request.headers.get(_REQUEST_ID)
    if given and _ID.match(given):
        return given
    return new_id() if span.parent_id else span.trace_id
