"""Tasks of the orchestrator surface: asking for one, reading, listing, following, cancelling and going on from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final, TypedDict, Unpack

from pydantic import JsonValue, ValidationError

from trunkline.sdk.calls import Call, Feed, Object, Page, answer, check, cursors, known, part, words
from trunkline.sdk.credentials import Surface, TokenPlace
from trunkline.sdk.models.tasks import EventPage, Task, TaskAnswer, TaskCreated, TaskEvent, TaskList, Usage
from trunkline.sdk.sse import ServerEvent
from trunkline.sdk.terms import ToolRule

PAGE: Final = 100
ENDS: Final = ("task.completed", "task.failed", "task.cancelled")
GAP: Final = "gap"
Words = str | Sequence[str]
"""One word, or several of which any may fit."""


class TaskOptions(TypedDict, total=False):
    """What a task may be asked for with. `sla_target` in seconds; `idempotency_key` of one request, however often it is made."""

    priority: str
    source: str
    sla_target: int
    metadata: Mapping[str, JsonValue]
    trace_id: str
    parent_task_id: str
    max_retries: int
    budget_usd: float
    tool_rules: list[ToolRule]
    github_token: str
    idempotency_key: str


class GoingOnOptions(TypedDict, total=False):
    """What the new task is held by beside what held the earlier one."""

    budget_usd: float
    tool_rules: list[ToolRule]
    github_token: str
    idempotency_key: str


class TaskFilter(TypedDict, total=False):
    """Which tasks, and in which order: -created_at (when left out), created_at, -updated_at or priority."""

    status: Words
    type: Words
    priority: Words
    assigned_agent: str
    source: str
    parent_task_id: str
    trace_id: str
    created_by: str
    created_after: datetime | str
    created_before: datetime | str
    sort: str


def create(type: str, payload: Mapping[str, JsonValue], **options: Unpack[TaskOptions]) -> Call[TaskCreated]:
    """Ask for a task; one that must be approved first says so. The answer comes when it is on disk."""
    check("create", options, TaskOptions, "type", "payload")
    return _new("/tasks", known(type=type, payload=dict(payload), **options))


def get(task_id: str) -> Call[Task]:
    """How a task stands."""
    return Call("GET", f"/tasks/{part(task_id)}", Surface.TASKS, lambda raw: TaskAnswer.model_validate_json(raw).task)


def list_(*, page_size: int = PAGE, **asked: Unpack[TaskFilter]) -> Call[Page[Task]]:
    """The tasks that fit, the newest first unless `sort` says otherwise; pages are asked for as they are needed."""
    check("list", asked, TaskFilter, "page_size")
    return cursors(_listed, "/tasks", words(limit=page_size, **asked))


def cancel(task_id: str, reason: str = "") -> Call[Task]:
    """Cancel a task and its parts. A run of ours is stopped first: then it is still in_progress, and its events say when it is over."""
    body: Object = {"reason": reason} if reason else {}
    return Call("POST", f"/tasks/{part(task_id)}/cancel", Surface.TASKS, lambda raw: TaskAnswer.model_validate_json(raw).task, body=body)


def report(task_id: str, status: str, error: str | None = None) -> Call[None]:
    """For the agent that carries it out: `status` is in_progress, completed or failed. Saying the same again changes nothing."""
    return Call("PATCH", f"/tasks/{part(task_id)}/status", Surface.TASKS, lambda raw: None, body=known(status=status, error=error))


def continue_(task_id: str, text: str, **options: Unpack[GoingOnOptions]) -> Call[TaskCreated]:
    """A new task that goes on where this one ended: one more commit on the same branch."""
    check("continue_", options, GoingOnOptions, "task_id", "text")
    return _new(f"/tasks/{part(task_id)}/continue", known(text=text, **options))


def fork(task_id: str, text: str, *, from_event: str | None = None, **options: Unpack[GoingOnOptions]) -> Call[TaskCreated]:
    """A new task with a branch of its own, from this one as it was at an event; without one, as it ended."""
    check("fork", options, GoingOnOptions, "task_id", "text", "from_event")
    return _new(f"/tasks/{part(task_id)}/fork", known(text=text, **{"from": from_event}, **options))


def events(task_id: str, *, after: str = "", speed: float | None = None) -> Feed[TaskEvent]:
    """Everything that happened, then everything that happens, to the event that ends the task; with `speed` at that times its own pace."""
    path = f"/tasks/{part(task_id)}"
    over = Call("GET", path, Surface.TASKS, lambda raw: TaskAnswer.model_validate_json(raw).task.over)
    return Feed(f"{path}/events", Surface.TASKS, event, is_last, is_gap, over, words(speed=speed), after)


def event_page(task_id: str, *, after: str = "", limit: int = PAGE) -> Call[EventPage]:
    """What is there behind the event `after`; it waits for nothing."""
    query = words(after=after, limit=limit)
    return Call("GET", f"/tasks/{part(task_id)}/events", Surface.TASKS, answer(EventPage), query)


def usage(*, since: date | str | None = None, until: date | str | None = None) -> Call[Usage]:
    """What the models of the tenant were asked and what that cost, by day (UTC) and model."""
    return Call("GET", "/usage", Surface.TASKS, answer(Usage), words(since=since, until=until))


def event(came: ServerEvent) -> TaskEvent | None:
    """One event; None for what is none of a task. Pure."""
    try:
        return TaskEvent.model_validate_json(came.text)
    except ValidationError:
        return None


def is_last(event: TaskEvent) -> bool:
    """That somebody published an event by that name ends nothing."""
    return event.event_type in ENDS and event.published_by is None


def is_gap(event: TaskEvent) -> bool:
    return event.event_type == GAP and event.id is None


def _new(path: str, body: Object) -> Call[TaskCreated]:
    key, token = str(body.pop("idempotency_key", "")), str(body.pop("github_token", ""))
    return Call(
        "POST", path, Surface.TASKS, answer(TaskCreated), body=body, key=key, github=TokenPlace.HEADER, github_token=token
    )  # fmt: skip


def _listed(raw: bytes) -> tuple[tuple[Task, ...], int, str | None]:
    found = TaskList.model_validate_json(raw)
    return found.tasks, found.total, found.next_cursor
