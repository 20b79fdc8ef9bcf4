"""Views of approvals: how one looks from outside right now, folded from its facts by a pure function."""

from __future__ import annotations

from datetime import datetime

from pydantic import JsonValue

from trunkline.contracts.approval import (
    ApprovalDecided,
    ApprovalEscalated,
    ApprovalOverdue,
    ApprovalPolicy,
    ApprovalRequested,
    ApprovalVoted,
    ApprovalWithdrawn,
    DecidedBy,
    Verdict,
)
from trunkline.contracts.calls import Allowance
from trunkline.contracts.message import Command, Message
from trunkline.contracts.record import Event

PENDING = "pending"
WITHDRAWN = "withdrawn"


class Vote(Message):
    """One person's word."""

    by: str
    verdict: Verdict
    at: datetime
    reason: str = ""


class ApprovalView(Message):
    """An approval as a reader sees it."""

    tenant: str
    task_id: str
    approval_id: str
    """Its name within the task."""
    kind: str
    subject: str
    digest: str
    requested_by: str
    about: dict[str, JsonValue] = {}
    policy: ApprovalPolicy
    status: str = PENDING
    """pending, approved, rejected or withdrawn."""
    stage: int = 0
    overdue: bool = False
    votes: tuple[Vote, ...] = ()
    allowance: Allowance | None = None
    """What those who agree mean by it beyond yes; all of them mean the same."""
    decided_by: DecidedBy | None = None
    by: str | None = None
    reason: str | None = None
    requested_at: datetime
    expires_at: datetime | None = None
    decided_at: datetime | None = None
    seq: int
    """Stream sequence of the newest fact in it."""

    @property
    def open(self) -> bool:
        return self.status == PENDING


class GetApproval(Command):
    """Read one approval of a task."""

    type: str = "get_approval"
    task_id: str
    approval_id: str


class ListApprovals(Command):
    """Read a page of approvals: open ones as the oldest comes first, ended ones as the last decided comes first."""

    type: str = "list_approvals"
    open: bool = True
    task_id: str | None = None
    kind: str | None = None
    requested_by: str | None = None
    seen_by: str | None = None
    """Who asks: those of tasks that others alone may see are left out, and not counted. None: nothing is hidden from whoever asks."""
    limit: int = 100
    after: str | None = None
    """`next` of the page before."""


class ApprovalPage(Message):
    approvals: tuple[ApprovalView, ...]
    total: int
    next: str | None = None


def fold_approval(view: ApprovalView | None, event: Event) -> ApprovalView | None:
    """The view after one more event; a decided one stays as it was decided."""
    fact = event.fact
    if isinstance(fact, ApprovalRequested):
        return view or _first(fact, event)
    if view is None or not view.open:
        return view
    changes = _changes(view, event)
    return view.model_copy(update={**changes, "seq": event.cursor.seq}) if changes else view


def _first(fact: ApprovalRequested, event: Event) -> ApprovalView:
    return ApprovalView(
        tenant=event.tenant,
        task_id=event.task,
        approval_id=fact.approval_id,
        kind=fact.kind,
        subject=fact.subject,
        digest=fact.digest,
        requested_by=fact.requested_by,
        about=fact.about,
        policy=fact.policy,
        requested_at=event.at,
        expires_at=fact.expires_at,
        seq=event.cursor.seq,
    )


def _changes(view: ApprovalView, event: Event) -> dict[str, object]:
    match event.fact:
        case ApprovalVoted() as fact:
            vote = Vote(by=fact.by, verdict=fact.verdict, at=event.at, reason=fact.reason)
            return {"votes": (*view.votes, vote), "allowance": fact.allowance or view.allowance}
        case ApprovalEscalated() as fact:
            return {"stage": fact.stage, "expires_at": fact.expires_at}
        case ApprovalOverdue():
            return {"overdue": True}
        case ApprovalDecided() as fact:
            return _decided(view, fact, event)
        case ApprovalWithdrawn() as fact:
            return {"status": WITHDRAWN, "reason": fact.reason, "decided_at": event.at}
        case _:
            return {}


def _decided(view: ApprovalView, fact: ApprovalDecided, event: Event) -> dict[str, object]:
    changes: dict[str, object] = {"status": str(fact.verdict), "decided_by": fact.decided_by, "by": fact.by, "reason": fact.reason}
    changes["allowance"] = fact.allowance  # whatever votes meant, only what was decided holds
    if fact.decided_by is DecidedBy.HUMAN:
        changes["votes"] = (*view.votes, Vote(by=fact.by, verdict=fact.verdict, at=event.at, reason=fact.reason))
    return {**changes, "decided_at": event.at}
