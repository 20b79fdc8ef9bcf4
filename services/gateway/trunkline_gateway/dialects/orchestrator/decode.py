"""From what an orchestrator client sends to what Trunkline understands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import orjson
from multidict import MultiMapping, istr
from pydantic import JsonValue, SecretStr

from trunkline.contracts.calls import Ruling, ToolRule
from trunkline.contracts.errors import Invalid, NotFound
from trunkline.contracts.ids import TaskId
from trunkline.contracts.task import Assignment, EventPublished, Priority, Reported
from trunkline_gateway.dialects.orchestrator import names, reading, repository
from trunkline_gateway.dialects.orchestrator.schemas import (
    YEAR,
    CancelBody,
    ContinueBody,
    EventBody,
    ReasonQuery,
    StatusBody,
    StatusQuery,
    TaskBody,
    TaskMetadata,
)
from trunkline_gateway.usecases import vaulted
from trunkline_gateway.usecases.terms import NONE, Terms, under

SURFACE: Final = "orchestrator"
TOKEN: Final = istr("X-GitHub-Token")
PAST: Final = timedelta(minutes=1)
"""By which the clock of whoever says when a task is to begin, or to be done, may differ from ours."""
NO_ERROR_SAID: Final = "Unknown error"
PROMPT_LIMIT: Final = 128 << 10
"""Bytes of UTF-8: what can be handed to a program as one word."""

REPORTED: Final = {"in_progress": Reported.STARTED, "completed": Reported.SUCCEEDED, "failed": Reported.FAILED}

_NOTHING_ASKED: Final = Assignment(surface=SURFACE).model_copy()  # a copy is copied in half the time
_NOTHING_NAMED: Final = TaskMetadata()
_LABELS: Final = frozenset(("source_agent", "user_id", "userId", "created_by"))
_UNDERSTOOD: Final = frozenset(TaskMetadata.model_fields)

Object = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Wish:
    """A task as asked for, and the trace it belongs to, if one was named."""

    assignment: Assignment
    trace_id: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """How a task is said to stand; `status` in the word that was sent."""

    status: str
    reported: Reported
    error: str


@dataclass(frozen=True, slots=True)
class Said:
    """An event, and the task it is about, if any."""

    event: EventPublished
    task: TaskId | None


def task(sent: Object, now: datetime) -> Wish:
    """Raises Invalid; NotFound for a parent by a name that no task can have."""
    asked = reading.body(TaskBody, sent)
    named = _named(asked.metadata)
    retries = named.max_retries if asked.max_retries is None else asked.max_retries
    said = {
        "type": asked.type,
        "source": asked.source or "user",
        "payload": asked.payload,
        "metadata": asked.metadata or {},
        "priority": Priority[asked.priority or "P2"],
        "parent": _parent(asked.parent_task_id or named.parent_task_id),
        "max_retries": retries or 0,
        "sla_s": _promised(asked, now),
        "start_at": _begins(asked, now),
        "labels": _labels(asked),
    }
    # A copy is not looked through once more: the schema of this surface lets nothing in that the contract would not.
    assignment = _NOTHING_ASKED.model_copy(update=said)
    return Wish(under(_with_repository(assignment), terms(asked)), asked.trace_id or named.trace_id)


def terms(asked: TaskBody | ContinueBody) -> Terms:
    """What the caller demands of its own task."""
    if asked.tool_rules is None and asked.budget_usd is None:
        return NONE
    rules = (
        ToolRule(tool=rule.tool, argument=rule.argument, then=Ruling(rule.then), reason=rule.reason or "")
        for rule in asked.tool_rules or ()
    )
    return Terms(tuple(rules), asked.budget_usd)


def token(headers: MultiMapping[str]) -> SecretStr | None:
    """The caller's own token for the forge. Raises Invalid, and never says what was sent."""
    sent = headers.getall(TOKEN, [])
    if len(sent) > 1:
        raise Invalid(f"{TOKEN} must be given once", code="INVALID_GITHUB_TOKEN", field=TOKEN)
    return vaulted.forge_token(sent[0], TOKEN) if sent else None


def report(query: MultiMapping[str], sent: Object) -> Report:
    """Raises Invalid, also where query and body contradict."""
    asked, told = reading.query(StatusQuery, query), reading.body(StatusBody, sent)
    status = reading.either("status", asked.status, told.status)
    error = reading.either("error", asked.error, told.error)
    if status is None:
        raise reading.missing("status")
    reported = REPORTED[status]
    if error and reported is not Reported.FAILED:
        raise reading.wrong("error", "goes with the status failed alone; leave it out, or report that the task failed")
    return Report(status, reported, (error or NO_ERROR_SAID) if reported is Reported.FAILED else "")


def reason(query: MultiMapping[str], sent: Object) -> str:
    """Why something is stopped, or no text. Raises Invalid."""
    return reading.either("reason", reading.query(ReasonQuery, query).reason, reading.body(CancelBody, sent).reason) or ""


def event(sent: Object) -> Said:
    """Raises Invalid; NotFound for a task by a name that none can have."""
    asked = reading.body(EventBody, sent)
    said = EventPublished(
        event_type=asked.event_type,
        by="",
        source=asked.source_agent,
        payload=asked.payload or {},
        trace_id=asked.trace_id,
        priority=asked.priority or "",
    )
    return Said(said, names.read_task(asked.task_id) if asked.task_id is not None else None)


def _named(metadata: dict[str, JsonValue] | None) -> TaskMetadata:
    if not metadata or _UNDERSTOOD.isdisjoint(metadata):
        return _NOTHING_NAMED
    return reading.body(TaskMetadata, metadata, "metadata")


def _labels(asked: TaskBody) -> dict[str, str]:
    if asked.model_fields_set.isdisjoint(_LABELS):
        return {}
    user = reading.either("user_id", asked.user_id, asked.userId)
    said = {"source_agent": asked.source_agent, "user_id": user, "created_by": asked.created_by}
    return {name: text for name, text in said.items() if text is not None}


def _parent(text: str | None) -> TaskId | None:
    try:
        return None if text is None else names.read_task(text)
    except NotFound:
        raise unknown_parent() from None


def unknown_parent() -> NotFound:
    return NotFound("parent_task_id names no task", code="PARENT_NOT_FOUND")


def _begins(asked: TaskBody, now: datetime) -> datetime | None:
    if asked.start_at is not None and asked.delay is not None:
        raise Invalid("start_at and delay say the same; give one of them", code=reading.FIELD_TWICE, field="start_at")
    if asked.delay is not None:
        return now + timedelta(seconds=asked.delay) if asked.delay else None
    if asked.start_at is None:
        return None
    begins = reading.moment("start_at", asked.start_at)
    if begins < now - PAST:
        raise reading.wrong("start_at", "lies in the past; leave it out for a task that begins at once")
    return begins


def _promised(asked: TaskBody, now: datetime) -> float | None:
    """Seconds from when it may begin. Raises Invalid, also where both forms are there and contradict."""
    target, left = _target(asked), _left(asked, now)
    if target is not None and left is not None and abs(target - left) > PAST.total_seconds():
        raise Invalid("sla_target and sla_deadline contradict; give one of them", code=reading.FIELD_TWICE, field="sla_target")
    return left if target is None else target


def _target(asked: TaskBody) -> float | None:
    if asked.sla_target is None:
        return None
    seconds = int(asked.sla_target)
    if not 1 <= seconds <= YEAR:
        raise reading.wrong("sla_target", f"must be 1 to {YEAR} seconds (a year)")
    return float(seconds)


def _left(asked: TaskBody, now: datetime) -> float | None:
    if asked.sla_deadline is None:
        return None
    begins = _begins(asked, now)
    left = (reading.moment("sla_deadline", asked.sla_deadline) - (max(begins, now) if begins else now)).total_seconds()
    if not 0 < left <= YEAR:
        raise reading.wrong("sla_deadline", f"must lie at most {YEAR} seconds (a year) after the task may begin")
    return left


def _with_repository(assignment: Assignment) -> Assignment:
    """What an agent of ours needs to know, where the task names a repository; others read the payload."""
    repo = repository.named(assignment.metadata.get("repo")) or repository.named(assignment.payload.get("repo"))
    if not repo:
        return assignment
    branch = repository.branch(assignment.metadata.get("branch"))
    return assignment.model_copy(update={"repo": repo, "branch": branch, "prompt": _prompt(assignment.payload)})


def _prompt(payload: Object) -> str:
    texts = (payload.get(field) for field in ("description", "prompt", "title"))
    said = next((text for text in texts if isinstance(text, str) and text.strip()), None) or orjson.dumps(payload).decode()
    if len(said.encode()) > PROMPT_LIMIT:
        raise Invalid(f"payload says more than the {PROMPT_LIMIT} bytes that an agent is given", code="TASK_TOO_LONG", field="payload")
    return said
