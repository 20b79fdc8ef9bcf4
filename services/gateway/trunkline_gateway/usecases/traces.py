"""What can be asked about traces: everything that happened under one name, and what of it took how long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from trunkline.auth.policy import sees_all
from trunkline.auth.principal import Principal
from trunkline.contracts.errors import NotFound
from trunkline.contracts.ids import TenantId
from trunkline.contracts.trace import SpanView, name_of, trace_of
from trunkline.contracts.views import GetTrace, TraceView
from trunkline_gateway.ports import Commands, Spans

RELAY: Final = "relay"
NO_ID: Final = "-"
MOST_SPANS: Final = 1000
MOST_TRACES: Final = 8
"""That one name may lead on to."""


class Traced(NamedTuple):
    """All that is known under one name."""

    view: TraceView
    trace_id: str
    """Of the spans that have this name."""
    spans: tuple[SpanView, ...]


class NoSpans:
    """Where none are kept."""

    async def spans(self, tenant: TenantId, trace_id: str, limit: int) -> Sequence[SpanView]:
        return ()


@dataclass(frozen=True, slots=True)
class Traces:
    commands: Commands
    now: Callable[[], datetime]
    kept: Spans = field(default_factory=NoSpans)

    async def trace(self, principal: Principal, name: str, limit: int) -> Traced:
        """Raises NotFound when nothing carries it that the caller may see, Unavailable."""
        trace_id = trace_of(name)
        view = await self._view(principal, name, limit)
        if view is None and name == trace_id:
            view = await self._view(principal, name_of(trace_id), limit)
        spans = await self._spans(principal, trace_id, {task.task_id for task in view.tasks} if view else set())
        if view is None and not spans:
            raise NotFound("nothing carries that trace id", code="TRACE_NOT_FOUND", trace_id=name)
        told = view or TraceView(trace_id=name, tasks=(), events=())
        return Traced(told.model_copy(update={"trace_id": name}), trace_id, spans)

    async def _view(self, principal: Principal, name: str, limit: int) -> TraceView | None:
        whose = None if sees_all(principal) else principal.subject
        command = GetTrace(tenant=principal.tenant, at=self.now(), trace_id=name, limit=limit, seen_by=whose)
        try:
            return TraceView.model_validate((await self.commands.send(RELAY, NO_ID, command)).body)
        except NotFound:
            return None

    async def _spans(self, principal: Principal, trace_id: str, tasks: set[str]) -> tuple[SpanView, ...]:
        """Those of the trace, and of the traces in which it goes on."""
        found: list[SpanView] = []
        wanted, seen = [trace_id], {trace_id}
        while wanted and len(found) < MOST_SPANS:
            spans = await self.kept.spans(principal.tenant, wanted.pop(0), MOST_SPANS - len(found))
            found += (span for span in spans if sees_all(principal) or span.task in tasks or (span.by and span.by == principal.subject))
            onward = [link for span in spans for link in span.links if link not in seen][: MOST_TRACES - len(seen)]
            wanted += dict.fromkeys(onward)
            seen.update(onward)
        once = {(span.trace_id, span.span_id, span.name): span for span in found}  # what a fact lets be told may be told again
        return tuple(sorted(once.values(), key=lambda span: span.began_us))
