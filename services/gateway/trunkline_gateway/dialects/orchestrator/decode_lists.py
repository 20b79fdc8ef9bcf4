"""From what a client asks of lists, feeds and approvals to what Trunkline understands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from multidict import MultiMapping
from pydantic import JsonValue

from trunkline.contracts.approval import Verdict
from trunkline.contracts.approval_views import ListApprovals
from trunkline.contracts.calls import Allowance, Ruling, Scope, ToolRule
from trunkline.contracts.ids import TenantId
from trunkline.contracts.task import Priority, TaskStatus
from trunkline.contracts.views import ListTasks, TaskSort
from trunkline_gateway.dialects.orchestrator import names, reading
from trunkline_gateway.dialects.orchestrator.schemas import (
    ApproveBody,
    DecisionBody,
    FeedHeaders,
    FeedQuery,
    HistoryQuery,
    PendingQuery,
    ReasonQuery,
    TaskListQuery,
    TraceQuery,
)
from trunkline_gateway.usecases.replay import Place, place

STANDS_FOR: Final = {
    "pending": (TaskStatus.SUBMITTED,),
    "assigned": (TaskStatus.ASSIGNED,),
    "in_progress": (TaskStatus.IN_PROGRESS, TaskStatus.STOPPING),
    "completed": (TaskStatus.SUCCEEDED,),
    "failed": (TaskStatus.FAILED,),
    "cancelled": (TaskStatus.CANCELLED,),
}
SORT: Final = {
    "-created_at": TaskSort.NEWEST,
    "created_at": TaskSort.OLDEST,
    "-updated_at": TaskSort.UPDATED,
    "priority": TaskSort.PRIORITY,
}
STREAM: Final = "text/event-stream"
JSON: Final = "application/json"
PAGE: Final = 100
NOBODY: Final = TenantId("-")
"""Stands in the tenant's place until the use case says whose list it is."""


@dataclass(frozen=True, slots=True)
class Following:
    """From where a task is followed, and whether as a page of what is there or as a stream of what comes."""

    place: Place
    page: bool
    limit: int


@dataclass(frozen=True, slots=True)
class Word:
    """What a person says with a decision. `digest` is that of what was shown, where the client says so."""

    reason: str
    digest: str | None
    allowance: Allowance | None = None
    """What the yes holds beyond yes."""


def tasks(query: MultiMapping[str], now: datetime) -> tuple[ListTasks, str | None]:
    """The list asked for, and the cursor as sent. Raises Invalid."""
    asked = reading.query(TaskListQuery, query)
    statuses = [status for word in _words(asked.status) for status in STANDS_FOR[word]]
    wanted = ListTasks(
        tenant=NOBODY,
        at=now,
        statuses=tuple(dict.fromkeys(statuses)),
        types=_words(asked.type),
        priorities=tuple(Priority(word) for word in _words(asked.priority)),
        pool=reading.either("assigned_agent", asked.assigned_agent, asked.assigned_to),
        source=asked.source,
        parent=names.read_task(asked.parent_task_id) if asked.parent_task_id else None,
        trace_id=asked.trace_id,
        submitted_by=asked.created_by,
        submitted_from=reading.moment("created_after", asked.created_after) if asked.created_after else None,
        submitted_before=reading.moment("created_before", asked.created_before) if asked.created_before else None,
        sort=SORT[asked.sort],
        limit=asked.limit,
    )
    return wanted, asked.cursor


def following(query: MultiMapping[str], headers: MultiMapping[str]) -> Following:
    """The header Last-Event-ID wins, for it is what the client saw last. Raises Invalid."""
    asked = reading.query(FeedQuery, query)
    after = reading.query(FeedHeaders, headers).last or asked.lastEventId or asked.after
    page = _wants_page(query, headers.get("Accept", "").lower())
    return Following(place(after, asked.from_, asked.speed), page, asked.limit or PAGE)


def trace(name: str, query: MultiMapping[str]) -> tuple[str, int]:
    """Whose tasks and events, and how many of each. Raises Invalid; NotFound for a name that nothing can carry."""
    return names.read_trace(name), reading.query(TraceQuery, query).limit


def pending(query: MultiMapping[str], now: datetime) -> tuple[ListApprovals, str | None]:
    """The list, and the cursor as sent. Raises Invalid."""
    asked = reading.query(PendingQuery, query)
    return ListApprovals(tenant=NOBODY, at=now, open=True, limit=asked.limit), asked.cursor


def history(query: MultiMapping[str], now: datetime) -> tuple[ListApprovals, str | None]:
    """The list, and the cursor as sent. Raises Invalid."""
    asked = reading.query(HistoryQuery, query)
    return ListApprovals(tenant=NOBODY, at=now, open=False, limit=asked.limit), asked.cursor


def word(query: MultiMapping[str], sent: Mapping[str, JsonValue], verdict: Verdict) -> Word:
    """Raises Invalid."""
    told = reading.body(ApproveBody if verdict is Verdict.APPROVED else DecisionBody, sent)
    reason = reading.either("reason", reading.query(ReasonQuery, query).reason, told.reason) or ""
    return Word(reason.strip(), told.digest, _allowance(told) if isinstance(told, ApproveBody) else None)


def _allowance(told: ApproveBody) -> Allowance | None:
    """None where nothing is said beyond yes."""
    if (told.scope, told.rule, told.input, told.usd, told.answer) == (None, None, None, None, None):
        return None
    rule = ToolRule(tool=told.rule.tool, argument=told.rule.argument, then=Ruling.ALLOW) if told.rule else None
    return Allowance(scope=Scope(told.scope or Scope.ONCE), rule=rule, input=told.input, usd=told.usd, answer=told.answer)


def _wants_page(query: MultiMapping[str], accept: str) -> bool:
    if STREAM in accept:
        return False
    return JSON in accept or "after" in query or "limit" in query


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.split(","))) if text else ()
