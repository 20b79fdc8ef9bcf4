"""Every request as a span and in figures: it goes on from its sender's trace or begins one, and its answer says which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web
from multidict import istr

from trunkline.telemetry.metrics import Meters, Uncounted
from trunkline.telemetry.sampling import Sampler
from trunkline.telemetry.traces import NO_HEADERS, Span, Tracer
from trunkline.telemetry.w3c import TRACEPARENT, TRACESTATE

_TRACEPARENT: Final = istr(TRACEPARENT)
_TRACESTATE: Final = istr(TRACESTATE)
_READS: Final = frozenset(("GET", "HEAD", "OPTIONS"))
_METHODS: Final = _READS | {"POST", "PUT", "PATCH", "DELETE"}


@dataclass(frozen=True, slots=True)
class Observer:
    """Where a request's span is begun, and where it is counted."""

    tracer: Tracer
    meters: Meters

    def begun(self, request: web.Request) -> Span:
        return self.tracer.edge("", _came(request), writes=request.method not in _READS)

    def ended(self, span: Span, route: tuple[str, str], status: int, seconds: float | None) -> None:
        """`route` as method and path, with the names of its parts in place of what was sent. `seconds` are None for a stream, which takes
        as long as there is something to tell."""
        method, path = route if route[0] in _METHODS else ("other", route[1])
        if status >= 500:
            span.broke(str(status))
        if span.sampled or status >= 500:  # hardly any is, and nobody reads of the others
            span.name = f"{method} {path}"
            span.note(status=status)
        self.meters.count("http_requests_total", method, path, str(status))
        if seconds is not None:
            self.meters.took("http_request_seconds", seconds, path)


UNOBSERVED: Final = Observer(Tracer("gateway", Sampler(0.0, 0.0), lambda span: None), Uncounted())


def _came(request: web.Request) -> tuple[str, str]:
    """Both headers as they came; one that came twice is none."""
    headers = request.headers
    if _TRACEPARENT not in headers or len(headers.getall(_TRACEPARENT)) > 1:
        return NO_HEADERS
    return headers[_TRACEPARENT], ",".join(headers.getall(_TRACESTATE, ()))
