"""From what Trunkline says of tasks to what an orchestrator client reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import orjson
from pydantic import JsonValue

from trunkline.auth.principal import Principal
from trunkline.contracts.approval import RELEASE
from trunkline.contracts.calls import Ruling, ToolRule
from trunkline.contracts.errors import DomainError
from trunkline.contracts.run import RunResult, Usage
from trunkline.contracts.task import Assignment, Submitted, TaskStatus
from trunkline.contracts.views import TaskCounts, TaskPage, TaskView
from trunkline_gateway.dialect import status_of
from trunkline_gateway.dialects.orchestrator import names
from trunkline_gateway.dialects.orchestrator.reading import MISSING_FIELD, UNKNOWN_FIELD, WRONG_TYPE
from trunkline_gateway.usecases.desk import MintedToken

Object = dict[str, JsonValue]

STATUS: Final = {
    TaskStatus.SUBMITTED: "pending",
    TaskStatus.ASSIGNED: "assigned",
    TaskStatus.IN_PROGRESS: "in_progress",
    TaskStatus.STOPPING: "in_progress",
    TaskStatus.SUCCEEDED: "completed",
    TaskStatus.FAILED: "failed",
    TaskStatus.CANCELLED: "cancelled",
}
_STATUS_OF_CODE: Final = {MISSING_FIELD: 422, UNKNOWN_FIELD: 422, WRONG_TYPE: 422}
LABELS: Final = ("source_agent", "user_id", "created_by", "schedule", "requeued_from")
"""Those of this surface, and what a task was made of; what other surfaces keep of a caller is not for every reader."""
_LATER: Final = "Task created; {} may take it from {} on"
_LATER_IF: Final = f"{_LATER}, if somebody allows it then"
_ASSIGNED: Final = "Task created and assigned to {}"
NATS: Final = {True: "connected", False: "disconnected"}


def error(refusal: DomainError) -> tuple[Object, int]:
    return {"detail": refusal.message}, _STATUS_OF_CODE.get(refusal.code) or status_of(refusal)


def moment(at: datetime) -> str:
    """`2025-10-22T06:00:00.123Z`."""
    said = orjson.dumps(at.astimezone(UTC)).decode()  # takes a tenth of `isoformat`
    return f"{said[1:24]}Z" if at.microsecond else f"{said[1:20]}.000Z"


def created(submitted: Submitted, assignment: Assignment, principal: Principal) -> Object:
    """As the router made it, without asking anybody again."""
    task_id = names.task(submitted.task_id)
    held = _held(submitted)
    at = moment(submitted.submitted_at)
    later = assignment.start_at is not None and submitted.status is TaskStatus.SUBMITTED
    pool = None if later else submitted.pool
    made: Object = {
        **_NEW,
        **_asked(submitted.task_id, assignment),
        "status": STATUS[submitted.status],
        "assigned_agent": pool,
        "assigned_to": pool,
        **held,
        "created_at": at,
        "updated_at": at,
        "trace_id": submitted.trace_id,
        "sla": _sla(assignment, submitted.sla_at, breached=False),
        "created_by": principal.subject,
    }
    template = _ASSIGNED if not later else _LATER_IF if submitted.gated else _LATER
    message = template.format(submitted.pool, made["start_at"])
    said: Object = {"success": True, "task_id": task_id, "message": message, "task": made}
    return said if held is _NOT_HELD else said | held


def read(view: TaskView) -> Object:
    return {"success": True, "task_id": names.task(view.task_id), "task": task(view)}


def task(view: TaskView) -> Object:
    will_be = RELEASE if view.gated and not view.attempt else None
    approval = view.approval_id or will_be
    held = _gate(view.task_id, approval, view.approval_status) if approval else _NOT_HELD
    fields = _asked(view.task_id, view.assignment) | _where(view.pool, view.status, held)
    return fields | _times(view.submitted_at, view.updated_at, view.started_at, view.ended_at) | _outcome(view)


def listed(page: TaskPage, cursor: str | None) -> Object:
    tasks: list[JsonValue] = [task(view) for view in page.tasks]
    return {"success": True, "count": len(tasks), "total": page.total, "tasks": tasks, "next_cursor": cursor}


def moved(task_id: str, status: str) -> Object:
    """`status` in the word that was sent."""
    return {"success": True, "task_id": names.task(task_id), "status": status}


def cancelled(view: TaskView) -> Object:
    done = view.status is TaskStatus.CANCELLED
    said = "Task cancelled" if done else "Task is being stopped; its events say when it is over"
    return {**moved(view.task_id, STATUS[view.status]), "message": said, "task": task(view)}


def queue(counts: TaskCounts) -> Object:
    return {"pending_tasks": counts.pending, "processing_tasks": counts.processing, "total_tasks": counts.total}


def health(status: str, bus: bool, services: Mapping[str, bool]) -> Object:
    """`redis` is the name by which monitors ask for the bus."""
    words: Object = {name: "ready" if up else "down" for name, up in services.items()}
    return {"status": status, "redis": NATS[bus], "queue_stats": None, "nats": NATS[bus], "services": words}


def token(minted: MintedToken, now: datetime) -> Object:
    seconds = max(round((minted.expires_at - now).total_seconds()), 0)
    said: Object = {"access_token": minted.token, "token": minted.token, "token_type": "bearer", "expires_in": seconds}
    return said | {"expires_at": moment(minted.expires_at), "role": minted.principal.role.value, "user_id": minted.principal.subject}


def who(principal: Principal) -> Object:
    return {"user_id": principal.subject, "role": principal.role.value, "tenant": principal.tenant, "tier": principal.tier.value}


MADE: Final = ("branch", "commit", "pull_request", "pull_request_url")
COUNTED: Final = ("files_changed", "additions", "deletions")
"""Both are what a run without a repository leaves none of."""
_NO_RUN: Final[Object] = {**dict.fromkeys((*MADE, *COUNTED)), "summary": ""}


def result(of: RunResult | None, outcome: JsonValue = None) -> Object | None:
    """What there is none of is null; a number is 0 only where something was committed. `outcome`: what an agent elsewhere returned."""
    if of is None:
        return None if outcome is None else {**_NO_RUN, "outcome": outcome}
    made: Object = {name: getattr(of, name) or None for name in MADE}
    counted: Object = {name: getattr(of, name) if of.commit else None for name in COUNTED}
    return {**made, **counted, "summary": of.summary}


def _held(submitted: Submitted) -> Object:
    if submitted.hold:
        return _gate(submitted.task_id, submitted.hold.approval_id, "pending")
    return _gate(submitted.task_id, RELEASE, None) if submitted.gated else _NOT_HELD


def _gate(task_id: str, approval_id: str, status: str | None) -> Object:
    """Without a status nobody was asked yet."""
    return {"requires_approval": True, "approval_id": names.approval(task_id, approval_id), "approval_status": status}


def _asked(task_id: str, assignment: Assignment) -> Object:
    return {
        "task_id": names.task(task_id),
        "type": assignment.type or None,
        "priority": str(assignment.priority),
        "source": assignment.source or None,
        "payload": assignment.payload,
        "metadata": assignment.metadata,
        "labels": {name: text for name, text in assignment.labels.items() if name in LABELS} if assignment.labels else {},
        "start_at": moment(assignment.start_at) if assignment.start_at else None,
        "parent_task_id": names.task(assignment.parent) if assignment.parent else None,
        "max_retries": assignment.max_retries,
        "budget_usd": assignment.budget_usd,
        "tool_rules": _rules(assignment.tool_rules) if assignment.tool_rules else [],
    }


def _rules(rules: Sequence[ToolRule]) -> list[JsonValue]:
    return [rule.model_dump(mode="json") for rule in rules if rule.then is not Ruling.ALLOW]


def _where(pool: str | None, status: TaskStatus, held: Object) -> Object:
    return {"status": STATUS[status], "assigned_agent": pool, "assigned_to": pool, **held}


def _times(made: datetime, changed: datetime, began: datetime | None = None, ended: datetime | None = None) -> Object:
    created = moment(made)
    return {
        "created_at": created,
        "started_at": moment(began) if began else None,
        "completed_at": moment(ended) if ended else None,
        "updated_at": moment(changed) if changed != made else created,
    }


def _outcome(view: TaskView) -> Object:
    children: list[JsonValue] = [names.task(child) for child in view.children]
    return {
        "trace_id": view.trace_id,
        "child_task_ids": children,
        "retry_count": max(view.attempt - 1, 0),
        "error": view.error,
        "sla": _sla(view.assignment, view.sla_at, breached=view.sla_breached_at is not None),
        "created_by": view.submitted_by,
        **_waiting(view),
        "result": result(view.result, view.outcome),
    }


def _waiting(view: TaskView | None) -> Object:
    """How its run stands with people, and with money; nothing yet of a task that was only just made. What nobody counted is null."""
    approval = names.approval(view.task_id, view.approval_waiting) if view and view.approval_waiting else None
    used = view.used if view else Usage()
    spent: Object = {
        "usd": used.cost_usd,
        "limit_usd": view.limit_usd if view else None,
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
        "model": used.model,
    }
    waits: Object = {"waiting_for": view.waiting_for if view else None, "waiting_approval_id": approval}
    return waits | {
        "paused": view.paused if view else False,
        "spent": spent,
        "pull_request_state": view.pull_request_state if view else None,
    }


_NOT_HELD: Final[Object] = {"requires_approval": False, "approval_id": None, "approval_status": None}
_NEW: Final[Object] = {
    **_asked("", Assignment()),
    **_where(None, TaskStatus.SUBMITTED, _NOT_HELD),
    **dict.fromkeys(("created_at", "started_at", "completed_at", "updated_at", "trace_id")),
    "child_task_ids": [],
    "retry_count": 0,
    **dict.fromkeys(("error", "sla", "created_by")),
    **_waiting(None),
    "result": None,
}
"""Every field of a task that nobody has begun, in its place: to copy it and say the rest is cheaper than to say all."""


def _sla(assignment: Assignment, due: datetime | None, *, breached: bool) -> Object | None:
    target = assignment.sla_s
    if due is None or target is None:
        return None
    return {"target": int(target) if target.is_integer() else round(target, 3), "deadline": moment(due), "breached": breached}
