"""What this surface answers of events and traces, as models."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, JsonValue

from trunkline_gateway.dialects.orchestrator.answers import CLOSED
from trunkline_gateway.dialects.orchestrator.answers_tasks import Task

Object = dict[str, JsonValue]


class Happened(BaseModel):
    """One event of a task: what stands on a `data:` line, and in a page. The last three where somebody published it."""

    model_config = CLOSED

    event_type: str
    task_id: str
    timestamp: AwareDatetime
    id: str | None
    payload: Object
    trace_id: str | None = None
    source_agent: str = ""
    published_by: str = ""
    priority: str | None = None


class EventPage(BaseModel):
    """`next` is where to go on from, also when nothing more is there yet."""

    model_config = CLOSED

    success: Literal[True]
    task_id: str
    count: int
    events: list[Happened]
    next: str | None
    has_more: bool


class Published(BaseModel):
    model_config = CLOSED

    success: Literal[True]
    event_type: str
    message: str
    event_id: str


class TracedEvent(BaseModel):
    model_config = CLOSED

    event_type: str
    source_agent: str
    published_by: str
    payload: Object
    task_id: str | None
    trace_id: str
    priority: str | None
    timestamp: AwareDatetime
    id: str


class TracedSpan(BaseModel):
    """Something that took time, in one service. `parent_id` may be of a span that nobody kept."""

    model_config = CLOSED

    span_id: str
    parent_id: str | None
    w3c_trace_id: str
    service: str
    name: str
    started_at: AwareDatetime
    duration_ms: float
    task_id: str | None
    error: str | None
    attributes: Object
    links: list[str]


class Trace(BaseModel):
    """`w3c_trace_id` is what the name stands for in the header `traceparent`; `links` of a span lead on to other such."""

    model_config = CLOSED

    success: Literal[True]
    trace_id: str
    w3c_trace_id: str
    task_count: int
    event_count: int
    span_count: int
    tasks: list[Task]
    events: list[TracedEvent]
    spans: list[TracedSpan]
