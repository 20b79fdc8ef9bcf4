"""From what Trunkline says of approvals to what an orchestrator client reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue

from trunkline.auth.principal import Principal
from trunkline.contracts.approval import ApprovalAnswer, Stage, Verdict
from trunkline.contracts.approval_views import WITHDRAWN, ApprovalView
from trunkline.contracts.calls import Allowance
from trunkline_gateway.dialects.orchestrator import names
from trunkline_gateway.dialects.orchestrator.encode import moment

Object = dict[str, JsonValue]
TASK: Final = "task"
"""The kind of what lets a task begin: what it is about stands in fields of the document."""


def read(view: ApprovalView) -> Object:
    return {"success": True, "approval": approval(view)}


def listed(field: str, views: Sequence[ApprovalView], total: int, cursor: str | None) -> Object:
    """`field` is what the document calls the list."""
    shown: list[JsonValue] = [approval(view) for view in views]
    return {"success": True, "count": len(shown), "total": total, field: shown, "next_cursor": cursor}


def decided(answer: ApprovalAnswer, verdict: Verdict, principal: Principal) -> Object:
    """What was asked for may need more people than this one."""
    said: Object = {"success": True, "approval_id": names.approval(answer.task_id, answer.approval_id)}
    if answer.status == verdict:
        return said | {"message": f"{verdict.value.capitalize()} by {principal.subject}"}
    count = f"{answer.votes} of {answer.quorum}" if verdict is Verdict.APPROVED else "against"
    return said | {"message": f"Vote recorded: {count}", "status": answer.status, "votes": answer.votes, "quorum": answer.quorum}


def approval(view: ApprovalView) -> Object:
    return _asked(view) | _standing(view) | _outcome(view)


def _asked(view: ApprovalView) -> Object:
    return {
        "approval_id": names.approval(view.task_id, view.approval_id),
        "task_id": names.task(view.task_id),
        "task_type": _text(view.about.get("type")),
        "priority": _text(view.about.get("priority")),
        "reason": _why(view),
        "kind": view.kind,
        "subject": view.subject,
        "digest": view.digest,
        "about": None if view.kind == TASK else view.about,
        "created_at": moment(view.requested_at),
        "requested_at": moment(view.requested_at),
        "requested_by": view.requested_by,
    }


def _standing(view: ApprovalView) -> Object:
    voters: list[JsonValue] = [
        {"by": vote.by, "decision": vote.verdict.value, "at": moment(vote.at), "reason": vote.reason} for vote in view.votes
    ]
    return {
        "status": view.status,
        "expires_at": moment(view.expires_at) if view.expires_at else None,
        "quorum": _stage(view).quorum,
        "votes": sum(vote.verdict is Verdict.APPROVED for vote in view.votes),
        "voters": voters,
        "allowance": _allowance(view.allowance) if view.allowance else None,
        "stage": view.stage,
        "overdue": view.overdue,
    }


def _allowance(held: Allowance) -> Object:
    """What those who agree mean, as a body of theirs says it."""
    rule: Object | None = {"tool": held.rule.tool, "argument": held.rule.argument} if held.rule else None
    return {"scope": held.scope.value, "rule": rule, "input": held.input, "usd": held.usd, "answer": held.answer}


def _outcome(view: ApprovalView) -> Object:
    if view.open or view.decided_at is None:
        return {}
    at = moment(view.decided_at)
    said: Object = {"decided_by": view.decided_by and view.decided_by.value, "decided_at": at, "decision_reason": view.reason or None}
    match view.status:
        case Verdict.APPROVED:
            return said | {"approved_by": view.by, "approved_at": at}
        case Verdict.REJECTED:
            return said | {"rejected_by": view.by, "rejected_at": at, "rejection_reason": view.reason or None}
        case _:
            assert view.status == WITHDRAWN
            return said


def _stage(view: ApprovalView) -> Stage:
    stages = (view.policy.first, *view.policy.escalation)
    return stages[min(view.stage, len(stages) - 1)]


def _why(view: ApprovalView) -> str:
    """The rules that asked for it, where they are told."""
    reasons = view.about.get("reasons")
    texts = [text for text in reasons if isinstance(text, str)] if isinstance(reasons, list) else []
    return "; ".join(texts) or view.subject


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) and value else None
