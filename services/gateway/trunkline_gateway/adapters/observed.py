"""Every request as a span and in figures: it goes on from its sender's trace or begins one, and its answer says which."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware
from multidict import istr

from trunkline.bus.watching import Watch
from trunkline.telemetry.traces import Span
from trunkline.telemetry.w3c import TRACEPARENT, TRACESTATE
from trunkline_gateway.refusals import CLIENT_LEFT, Answering

SPAN: Final = web.RequestKey("span", Span)
ELSEWHERE: Final = "(none)"
"""The route of what is no path of ours."""
_TRACEPARENT: Final = istr(TRACEPARENT)
_TRACESTATE: Final = istr(TRACESTATE)
_READS: Final = ("GET", "HEAD", "OPTIONS")
_METHODS: Final = frozenset((*_READS, "POST", "PUT", "PATCH", "DELETE"))


def observe(site: web.Application, watch: Watch) -> None:
    """Around everything else that the site does with a request."""
    site.middlewares.insert(0, _observing(watch))
    site.on_response_prepare.append(_tell)


def _observing(watch: Watch) -> Middleware:
    edge, meters = watch.tracer.edge, watch.meters

    @web.middleware
    async def observed(request: web.Request, handler: Answering) -> web.StreamResponse:
        began, method, route = time.perf_counter(), request.method, route_of(request)
        status, whole = CLIENT_LEFT, False
        span = edge(f"{method if method in _METHODS else 'other'} {route}", _came(request), writes=method not in _READS)
        request[SPAN] = span
        with span:
            try:
                response = await handler(request)
                status, whole = response.status, type(response) is web.Response
                return response
            except asyncio.CancelledError:
                span.fail("CLIENT_LEFT")
                raise
            finally:
                span.note(status=status)
                if status >= 500:
                    span.fail(str(status))
                meters.count("http_requests_total", method if method in _METHODS else "other", route, str(status))
                if whole:
                    meters.took("http_request_seconds", time.perf_counter() - began, route)

    return observed


def route_of(request: web.Request) -> str:
    """The route as it is declared, with the names of its parts in place of what was sent."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else ELSEWHERE


def _came(request: web.Request) -> tuple[str, str]:
    """Both headers as they came; one that came twice is none."""
    came = request.headers.getall(_TRACEPARENT, ())
    return (came[0], ",".join(request.headers.getall(_TRACESTATE, ()))) if len(came) == 1 else ("", "")


async def _tell(request: web.Request, response: web.StreamResponse) -> None:
    if span := request.get(SPAN):
        response.headers[_TRACEPARENT] = span.traceparent
