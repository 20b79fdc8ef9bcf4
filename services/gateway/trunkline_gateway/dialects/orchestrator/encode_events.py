"""From the facts on a timeline to the events that an orchestrator client reads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import orjson
from pydantic import JsonValue

from trunkline.contracts.message import Fact
from trunkline.contracts.record import Event, Gap
from trunkline.contracts.subjects import NO_TASK
from trunkline.contracts.task import EventPublished
from trunkline.contracts.trace import SpanView
from trunkline.contracts.views import TraceEvent
from trunkline_gateway.dialects.orchestrator import encode, facts, names
from trunkline_gateway.dialects.orchestrator.encode import moment
from trunkline_gateway.usecases.traces import Traced

Object = dict[str, JsonValue]
GAP = "gap"
NAMELESS = "message"


def frame(event: Event) -> bytes:
    """One event as it goes over the wire; nothing when the fact means nothing to this surface."""
    body = happened(event)
    if body is None:
        return b""
    name = str(body["event_type"])
    line = name if names.is_event(name) else NAMELESS
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (str(event.cursor).encode(), line.encode(), orjson.dumps(body))


def gap_frame(lost: Gap, task_id: str, at: datetime) -> bytes:
    """Said aloud, without an id of its own: the next event carries the place to resume from."""
    return b"event: gap\ndata: %b\n\n" % orjson.dumps(gap(lost, task_id, at))


def happened(event: Event) -> Object | None:
    """What stands on a `data:` line; nothing when the fact means nothing to this surface."""
    if isinstance(event.fact, EventPublished):
        return _head(event.fact.event_type, event, event.fact.payload) | _said(event.fact)
    told = facts.told(event.task, event.fact)
    return None if told is None else _head(told[0], event, told[1]) | _traced(event.fact)


def gap(lost: Gap, task_id: str, at: datetime) -> Object:
    message = f"Events after {lost.asked} cannot be resumed: the log does not hold that place. What it holds follows from the beginning."
    about: Object = {"message": message, "asked": str(lost.asked), "first": str(lost.first)}
    return {"event_type": GAP, "task_id": names.task(task_id), "timestamp": moment(at), "id": None, "payload": about}


def page(task_id: str, events: Sequence[Object], next: str | None, *, more: bool) -> Object:
    shown: list[JsonValue] = list(events)
    said: Object = {"success": True, "task_id": names.task(task_id), "count": len(shown)}
    return said | {"events": shown, "next": next, "has_more": more}


def published(event_type: str, id: str) -> Object:
    return {"success": True, "event_type": event_type, "message": "Event published successfully", "event_id": id}


def trace(found: Traced) -> Object:
    view = found.view
    tasks: list[JsonValue] = [encode.task(task) for task in view.tasks]
    events: list[JsonValue] = [_traced_event(view.trace_id, event) for event in view.events]
    spans: list[JsonValue] = [_span(span) for span in found.spans]
    counts: Object = {"task_count": len(tasks), "event_count": len(events), "span_count": len(spans)}
    names_: Object = {"trace_id": view.trace_id, "w3c_trace_id": found.trace_id}
    return {"success": True, **names_, **counts, "tasks": tasks, "events": events, "spans": spans}


def _span(span: SpanView) -> Object:
    about: Object = {"task_id": names.task(span.task) if names.is_task(span.task) else None, "error": span.failed or None}
    return {
        "span_id": span.span_id,
        "parent_id": span.parent_id or None,
        "w3c_trace_id": span.trace_id,
        "service": span.service,
        "name": span.name,
        "started_at": moment(datetime.fromtimestamp(span.began_us / 1e6, UTC)),
        "duration_ms": round(span.took_us / 1000, 3),
        **about,
        "attributes": span.attributes,
        "links": list(span.links),
    }


def _head(event_type: str, event: Event, payload: Object) -> Object:
    return {
        "event_type": event_type,
        "task_id": names.task(event.task),
        "timestamp": moment(event.at),
        "id": str(event.cursor),
        "payload": payload,
    }


def _said(fact: EventPublished) -> Object:
    """Who said it tells a published event from what Trunkline itself says."""
    said: Object = {"source_agent": fact.source, "published_by": fact.by, "priority": fact.priority or None}
    return said | ({"trace_id": fact.trace_id} if fact.trace_id else {})


def _traced(fact: Fact) -> Object:
    trace_id = getattr(fact, "trace_id", None)
    return {"trace_id": trace_id} if trace_id else {}


def _traced_event(trace_id: str, told: TraceEvent) -> Object:
    about = told.task_id if told.task_id and told.task_id != NO_TASK else None
    return {
        "event_type": told.event.event_type,
        "payload": told.event.payload,
        "task_id": names.task(about) if about else None,
        "timestamp": moment(told.at),
        "id": told.cursor,
        **_said(told.event),
        "trace_id": trace_id,
    }
