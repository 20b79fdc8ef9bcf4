"""The facts of a task in the words of this surface: each a dotted name and what a reader needs to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import JsonValue

from trunkline.contracts import approval, lease, run, task, task_waiting
from trunkline.contracts.message import Fact
from trunkline_gateway.dialects.orchestrator import facts_instances, facts_steering, names
from trunkline_gateway.dialects.orchestrator.encode import moment, result

Object = dict[str, JsonValue]
Tell = Callable[[str, Any], Object]
"""From the id of the task and the fact."""


def told(task_id: str, fact: Fact) -> tuple[str, Object] | None:
    """Name and payload; nothing for what is of no use outside, or was made by a newer version."""
    known = _TOLD.get(type(fact))
    return (known[0], known[1](task_id, fact)) if known else None


def _created(task_id: str, fact: task.TaskSubmitted) -> Object:
    asked = fact.assignment
    return {
        "type": asked.type or None,
        "priority": asked.priority.value,
        "source": asked.source or None,
        "created_by": fact.submitted_by,
        "parent_task_id": names.task(asked.parent) if asked.parent else None,
        "sla_deadline": moment(fact.sla_at) if fact.sla_at else None,
        **_gone_on(asked),
    }


def _gone_on(asked: task.Assignment) -> Object:
    """Of a task that goes on from another."""
    origin = asked.origin
    return {"origin": {"task_id": names.task(origin.task), "onward": origin.onward.value, "snapshot": origin.snapshot}} if origin else {}


def _assigned(task_id: str, fact: task.TaskAssigned) -> Object:
    return {"assigned_agent": fact.pool, "assigned_to": fact.pool, "attempt": fact.attempt}


def _held(task_id: str, fact: task.TaskHeld) -> Object:
    hold = fact.hold
    about: Object = {"approval_id": names.approval(task_id, hold.approval_id), "reasons": list(hold.reasons), "digest": hold.digest}
    return about | {"subject": fact.subject, "requested_by": fact.requested_by}


def _released(task_id: str, fact: task.TaskReleased) -> Object:
    return {"approval_id": names.approval(task_id, fact.approval_id), "by": fact.by, "deadline": moment(fact.deadline_at)}


def _retry(task_id: str, fact: task.TaskRetryScheduled) -> Object:
    return {"attempt": fact.attempt, "due_at": moment(fact.due_at), "code": fact.code, "error": fact.reason}


def _completed(task_id: str, fact: task.TaskSucceeded) -> Object:
    told: Object = {"status": "completed", "result": result(fact.result)}
    return told if fact.outcome is None else {**told, "outcome": fact.outcome}


def _failed(task_id: str, fact: task.TaskFailed) -> Object:
    return {"status": "failed", "code": fact.code, "error": fact.error}


def _cancelled(task_id: str, fact: task.TaskCancelled) -> Object:
    return {"status": "cancelled", "by": fact.by, "reason": fact.reason, "cause": fact.cause.value}


def _about_approval(task_id: str, fact: approval.ApprovalVoted) -> Object:
    """The fact as it is, but for the name, which is that of the surface."""
    plain = _plain(task_id, fact)
    return {**plain, "approval_id": names.approval(task_id, fact.approval_id)}


def _requested(task_id: str, fact: approval.ApprovalRequested) -> Object:
    known: Object = {"kind": fact.kind, "subject": fact.subject, "digest": fact.digest, "requested_by": fact.requested_by}
    expires = moment(fact.expires_at) if fact.expires_at else None
    return {"approval_id": names.approval(task_id, fact.approval_id), **known, "expires_at": expires}


def _escalated(task_id: str, fact: approval.ApprovalEscalated) -> Object:
    expires = moment(fact.expires_at) if fact.expires_at else None
    return {"approval_id": names.approval(task_id, fact.approval_id), "stage": fact.stage, "expires_at": expires}


def _output(task_id: str, fact: run.AgentOutput) -> Object:
    about: Object = {"attempt": fact.attempt, "kind": fact.kind.value, "tool": fact.tool, "display": fact.display}
    return about | {"output": fact.text, "is_error": fact.is_error}


def _agent_ended(task_id: str, fact: run.AgentEnded) -> Object:
    """Without what the agent claims to have used."""
    return {"summary": fact.summary, "caveat": fact.caveat}


def _plain(task_id: str, fact: Fact) -> Object:
    return fact.model_dump(mode="json", exclude={"type", "decision_id"})


_TOLD: Final[Mapping[type[Fact], tuple[str, Tell]]] = {
    task.TaskSubmitted: ("task.created", _created),
    task.TaskAssigned: ("task.assigned", _assigned),
    task_waiting.TaskDelayed: ("task.delayed", lambda _, fact: {"start_at": moment(fact.until), "requires_approval": fact.gated}),
    task_waiting.TaskAwaitsPlace: ("task.awaits_place", _plain),
    task_waiting.TaskPlaceGiven: ("task.place_given", _plain),
    lease.TaskLeased: ("task.leased", lambda _, fact: {"attempt": fact.attempt, "by": fact.by, "until": moment(fact.until)}),
    lease.TaskLeaseOver: ("task.lease_over", lambda _, fact: {"attempt": fact.attempt, "by": fact.by, "why": fact.why.value}),
    lease.TaskAnswered: ("task.answered", lambda task, fact: {"approval_id": names.approval(task, fact.approval_id)}),
    task.TaskHeld: ("task.approval_required", _held),
    task.TaskReleased: ("task.released", _released),
    task.TaskStarted: ("task.in_progress", _plain),
    task.TaskRetryScheduled: ("task.retry_scheduled", _retry),
    task.TaskSlaBreached: ("task.sla_breached", lambda _, fact: {"deadline": moment(fact.due_at)}),
    task.TaskChildAdded: ("task.child_added", lambda _, fact: {"child_task_id": names.task(fact.child)}),
    task.TaskStopRequested: ("task.cancelling", _plain),
    task.TaskSucceeded: ("task.completed", _completed),
    task.TaskFailed: ("task.failed", _failed),
    task.TaskCancelled: ("task.cancelled", _cancelled),
    approval.ApprovalRequested: ("approval.requested", _requested),
    approval.ApprovalVoted: ("approval.voted", _about_approval),
    approval.ApprovalEscalated: ("approval.escalated", _escalated),
    approval.ApprovalOverdue: ("approval.overdue", _about_approval),
    approval.ApprovalDecided: ("approval.decided", _about_approval),
    approval.ApprovalWithdrawn: ("approval.withdrawn", _about_approval),
    run.PhaseBegan: ("run.phase", _plain),
    run.SandboxReady: ("run.sandbox_ready", _plain),
    run.AgentChecked: ("run.agent_checked", _plain),
    run.RepositoryCloned: ("run.cloned", _plain),
    run.AgentStarted: ("run.agent_started", _plain),
    run.AgentEnded: ("run.agent_ended", _agent_ended),
    run.ChangesCommitted: ("run.committed", _plain),
    run.BranchPushed: ("run.pushed", _plain),
    run.PullRequestOpened: ("run.pull_request_opened", _plain),
    run.AgentOutput: ("agent.output", _output),
    **facts_steering.TOLD,
    **facts_instances.TOLD,
}
