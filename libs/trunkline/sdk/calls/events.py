"""Events that a program publishes, and everything that carries one trace id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict, Unpack

from pydantic import JsonValue

from trunkline.sdk.calls import Call, answer, check, known, part, words
from trunkline.sdk.credentials import Surface
from trunkline.sdk.models.tasks import Published, Trace


class EventOptions(TypedDict, total=False):
    """What an event may be about."""

    payload: Mapping[str, JsonValue]
    task_id: str
    trace_id: str
    priority: str
    idempotency_key: str


def publish(event_type: str, source_agent: str, **options: Unpack[EventOptions]) -> Call[Published]:
    """Tell an event to the readers of its task and to every agent that listens. `source_agent` is a label and gives no right."""
    check("publish", options, EventOptions, "event_type", "source_agent")
    body = known(event_type=event_type, source_agent=source_agent, **options)
    key = str(body.pop("idempotency_key", ""))
    return Call("POST", "/events/publish", Surface.TASKS, answer(Published), body=body, key=key)


def trace(trace_id: str, *, limit: int | None = None) -> Call[Trace]:
    """The tasks and the published events that carry it, at most `limit` of each."""
    return Call("GET", f"/traces/{part(trace_id)}", Surface.TASKS, answer(Trace), words(limit=limit))
