"""What runs want allowed, as their own facts tell: what may still be open, and how it is asked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from trunkline.contracts.approval import RELEASE, RequestApproval
from trunkline.contracts.errors import Invalid
from trunkline.contracts.message import Fact
from trunkline.contracts.run import ApprovalDropped, ApprovalWanted, BudgetRaised, CallAnswered, CallVerdict


def unsettled(facts: Iterable[Fact], attempt: int | None = None) -> tuple[str, ...]:
    """The names that a run, or one attempt of it, asked under and that may be open: not those that it took back, or that were allowed."""
    names: dict[str, None] = {}
    for fact in facts:
        match fact:
            case ApprovalWanted() if attempt in (None, fact.attempt) and fact.approval_id != RELEASE:
                names[fact.approval_id] = None
            case ApprovalDropped() | BudgetRaised():
                names.pop(fact.approval_id, None)
            case CallAnswered(verdict=CallVerdict.ALLOWED):
                names.pop(fact.approval_id, None)
            case _:
                pass
    return tuple(names)


def wish(wanted: ApprovalWanted, where: tuple[str, str], said: datetime, now: datetime) -> RequestApproval:
    """The question of a run of `where` (tenant and task). Raises Invalid for a name that is kept for something else.

    People have their time from now on, also when this service was away when the run asked; but what should have ended meanwhile
    counts as asked when the run said it, and its timer rings at once.
    """
    if wanted.approval_id == RELEASE:  # a run that took this name would say what lets its own task begin
        raise Invalid("a run may not ask under the name that lets a held task begin", code="BAD_APPROVAL_ID")
    late = wanted.expires_at is not None and wanted.expires_at <= now
    return RequestApproval(
        tenant=where[0],
        at=said if late else now,
        approval_id=wanted.approval_id,
        task_id=where[1],
        kind=wanted.kind,
        subject=wanted.subject,
        digest=wanted.digest,
        requested_by=wanted.requested_by,
        about=wanted.about,
        expires_at=wanted.expires_at,
    )
