"""Which questions can be answered, and how much of a view fits on a page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

from pydantic import JsonValue

from trunkline.contracts.approval_views import ApprovalPage, ApprovalView, ListApprovals
from trunkline.contracts.calls import Allowance, ToolRule
from trunkline.contracts.errors import Invalid
from trunkline.contracts.message import Message
from trunkline.contracts.task import Assignment
from trunkline.contracts.views import GetTrace, ListTasks, TaskPage, TaskView, TraceEvent, TraceView
from trunkline_relay.model.bookmarks import ENDED, OPEN, read

LONGEST_PAGE: Final = 200
FURTHEST: Final = 10_000_000
LONGEST_FILTER: Final = 256
"""Characters of one word to filter by."""
MOST_WORDS: Final = 50
"""Words that one filter may name."""
LARGEST_BODY: Final = 1_500_000
"""Bytes: well below what one message on the bus may have (2 MB)."""
TEXT_LENGTHS: Final = (2_000, 500, 100)
"""Characters of one text on a page; the first with which the page fits."""
LEFT_OUT: Final = "left_out"
"""The only key of what stands on a page for an object that is too large; its value is the length as JSON."""
NEWEST_CHILDREN: Final = 10
FIRST_RULES: Final = 10
"""Of a task on a page."""

P = TypeVar("P", bound=Message)
V = TypeVar("V")


def check_tasks(query: ListTasks) -> None:
    """Raises Invalid when the page asked for cannot be."""
    _check_limit(query.limit)
    if not 0 <= query.offset <= FURTHEST:
        raise Invalid(f"offset must be 0 to {FURTHEST}", code="BAD_PAGE", offset=query.offset)
    words = (query.pool, query.source, query.parent, query.trace_id, query.submitted_by, query.surface, query.fingerprint, query.login)
    _check_words((*words, *query.types))
    if max(len(query.types), len(query.statuses), len(query.priorities)) > MOST_WORDS:
        raise Invalid(f"a filter may name {MOST_WORDS} words at most", code="BAD_FILTER")
    read(query.sort, query.after)


def check_approvals(query: ListApprovals) -> None:
    """Raises Invalid when the page asked for cannot be."""
    _check_limit(query.limit)
    _check_words((query.task_id, query.kind, query.requested_by))
    read(OPEN if query.open else ENDED, query.after)


def check_trace(query: GetTrace) -> None:
    """Raises Invalid when nothing can be asked by that name, or not so much of it."""
    _check_limit(query.limit)
    _check_words((query.trace_id,))


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= LONGEST_PAGE:
        raise Invalid(f"limit must be 1 to {LONGEST_PAGE}", code="BAD_PAGE", limit=limit)


def _check_words(words: Iterable[str | None]) -> None:
    if any(word is not None and len(word) > LONGEST_FILTER for word in words):
        raise Invalid(f"what is filtered by may have {LONGEST_FILTER} characters at most", code="BAD_FILTER")


def brief_tasks(page: TaskPage) -> TaskPage:
    """The page with what is long cut, so that it fits into one message; reading the task itself gives it whole."""
    return _fitting(lambda most: page.model_copy(update={"tasks": tuple(_task(view, most) for view in page.tasks)}))


def brief_approvals(page: ApprovalPage) -> ApprovalPage:
    """The page with what is long cut; reading the approval itself gives it whole."""
    return _fitting(lambda most: page.model_copy(update={"approvals": tuple(_approval(view, most) for view in page.approvals)}))


def brief_trace(trace: TraceView) -> TraceView:
    """The trace with what is long cut; the timeline of each task has it whole."""

    def cut(most: int) -> TraceView:
        tasks, events = tuple(_task(view, most) for view in trace.tasks), tuple(_told(event, most) for event in trace.events)
        return trace.model_copy(update={"tasks": tasks, "events": events})

    return _fitting(cut)


def brief_task(view: TaskView) -> TaskView:
    """What a page shows of it at most."""
    return _task(view, TEXT_LENGTHS[0])


def brief_event(told: TraceEvent) -> TraceEvent:
    """What a trace shows of it at most."""
    return _told(told, TEXT_LENGTHS[0])


def _fitting(cut: Callable[[int], P]) -> P:
    for most in TEXT_LENGTHS:
        page = cut(most)
        if len(page.model_dump_json().encode()) <= LARGEST_BODY:
            break
    return page


def _task(view: TaskView, most: int) -> TaskView:
    changes: dict[str, object] = {"error": _text(view.error, most), "children": view.children[-NEWEST_CHILDREN:]}
    if view.outcome is not None:
        changes["outcome"] = _value(view.outcome, most)
    return view.model_copy(update={**changes, "assignment": _assignment(view.assignment, most)})


def _assignment(of: Assignment, most: int) -> Assignment:
    labels = {key: str(value) for key, value in _object(of.labels, most).items()}
    changes: dict[str, object] = {"prompt": _text(of.prompt, most), "labels": labels, "tool_rules": _rules(of.tool_rules, most)}
    return of.model_copy(update={**changes, "payload": _object(of.payload, most), "metadata": _object(of.metadata, most)})


def _rules(rules: tuple[ToolRule, ...], most: int) -> tuple[ToolRule, ...]:
    return tuple(
        rule.model_copy(update={"argument": _text(rule.argument, most), "reason": _text(rule.reason, most)}) for rule in rules[:FIRST_RULES]
    )


def _approval(view: ApprovalView, most: int) -> ApprovalView:
    votes = tuple(vote.model_copy(update={"reason": _text(vote.reason, most // 5)}) for vote in view.votes)
    changes: dict[str, object] = {"subject": _text(view.subject, most), "reason": _text(view.reason, most), "votes": votes}
    return view.model_copy(update={**changes, "about": _object(view.about, most), "allowance": _allowance(view.allowance, most)})


def _allowance(held: Allowance | None, most: int) -> Allowance | None:
    return held.model_copy(update={"input": _object(held.input, most)}) if held and held.input else held


def _told(told: TraceEvent, most: int) -> TraceEvent:
    return told.model_copy(update={"event": told.event.model_copy(update={"payload": _object(told.event.payload, most)})})


def _text(text: str | None, most: int) -> str | None:
    return text[: most - 1] + "…" if text and len(text) > most else text


def _object(value: Mapping[str, JsonValue] | Mapping[str, str], most: int) -> Mapping[str, JsonValue] | Mapping[str, str]:
    return _value(value, most) if value else value


def _value(value: V, most: int) -> V | dict[str, JsonValue]:
    length = len(json.dumps(value))
    return value if length <= most else {LEFT_OUT: length}
