"""What an approval is and what may happen to it: asked once, decided once, for the exact act that was asked about."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Literal, assert_never

from trunkline.contracts import subjects
from trunkline.contracts.approval import ApprovalDecided, ApprovalRequested, DecideApproval, DecidedBy, RequestApproval, Verdict
from trunkline.contracts.errors import Conflict, Denied, Invalid, NotFound
from trunkline.contracts.ids import TaskId, TenantId, Token
from trunkline.contracts.message import Command, Fact

_PART = "approval-"
_ID_ROOM = 64 - len(_PART)
_SHA256 = re.compile(r"\A[0-9a-f]{64}\Z")


class ExpireApproval(Command):
    """The clock's word, set when the approval was asked for; its `at` is the moment of expiry, however late it arrives."""

    type: Literal["expire"] = "expire"
    approval_id: Token
    task_id: Token
    second_look: bool = False
    """Whether it came once before and found nothing."""


ApprovalCommand = RequestApproval | DecideApproval | ExpireApproval


@dataclass(frozen=True, slots=True)
class Approval:
    """The question as it was asked, and the answer once there is one."""

    digest: str
    requested_by: str
    expires_at: datetime | None
    decision: ApprovalDecided | None = None


def place(command: ApprovalCommand) -> str:
    """The subject on which the facts of one approval lie. Raises Invalid when the id leaves no room for it."""
    if len(command.approval_id) > _ID_ROOM:
        raise Invalid(f"an approval id has at most {_ID_ROOM} characters", code="BAD_APPROVAL_ID")
    return subjects.event(TenantId(command.tenant), TaskId(command.task_id), f"{_PART}{command.approval_id}")


def status(approval: Approval | None) -> str:
    """The approval in one word."""
    return str(approval.decision.verdict) if approval and approval.decision else "pending"


def timer_id(wake: ExpireApproval) -> str:
    """One name per approval and moment; approvals of the same name on two tasks have timers of their own."""
    return sha256(f"{wake.tenant}/{wake.task_id}/{wake.approval_id}/{wake.at.timestamp():.6f}".encode()).hexdigest()[:32]


def decide(approval: Approval | None, command: ApprovalCommand) -> tuple[Fact, ...]:
    """The facts that follow from a command; none when it changes nothing. Raises Conflict, Denied, Invalid, NotFound."""
    match command:
        case RequestApproval():
            return _ask(approval, command)
        case DecideApproval():
            return _answer(approval, command)
        case ExpireApproval():
            return _expire(approval, command)
        case never:
            assert_never(never)


def evolve(approval: Approval | None, fact: Fact, _at: datetime | None = None) -> Approval | None:
    """The approval after one more fact; facts that are not understood change nothing."""
    match fact:
        case ApprovalRequested():
            return Approval(digest=fact.digest, requested_by=fact.requested_by, expires_at=fact.expires_at)
        case ApprovalDecided() if approval:
            return replace(approval, decision=fact)
        case _:
            return approval


def _ask(approval: Approval | None, command: RequestApproval) -> tuple[Fact, ...]:
    if approval:
        if approval.digest == command.digest:
            return ()
        raise Conflict(
            "this approval was asked for another act before; ask under a new id", code="DIGEST_DIFFERS", approval_id=command.approval_id
        )
    _check_form(command)
    asked = ApprovalRequested(
        approval_id=command.approval_id,
        subject=command.subject,
        digest=command.digest,
        requested_by=command.requested_by,
        expires_at=command.expires_at,
    )
    return (asked,)


def _check_form(command: RequestApproval) -> None:
    if not _SHA256.match(command.digest):
        raise Invalid("the digest must be the SHA-256 of the act, 64 lower-case hex digits", code="BAD_DIGEST")
    if command.expires_at and command.expires_at <= command.at:
        raise Invalid("the approval would expire before it is asked for; give a later time", code="EXPIRY_PASSED")


def _answer(approval: Approval | None, command: DecideApproval) -> tuple[Fact, ...]:
    known = _known(approval, command.approval_id)
    if command.digest != known.digest:
        raise Conflict(
            "the decision is about another act than the one asked for; read the approval again", code="DIGEST_DIFFERS",
            approval_id=command.approval_id,
        )  # fmt: skip
    if command.by == known.requested_by:
        raise Denied("whoever asked may not decide; somebody else must", code="OWN_REQUEST", approval_id=command.approval_id)
    decided = _decided(command)
    if known.decision:
        return _again(known.decision, decided)
    if known.expires_at and command.at >= known.expires_at:
        raise Conflict(
            "the approval has expired and counts as rejected; ask for a new one", code="EXPIRED", approval_id=command.approval_id
        )
    return (decided,)


def _decided(command: DecideApproval) -> ApprovalDecided:
    return ApprovalDecided(
        approval_id=command.approval_id,
        verdict=command.verdict,
        decided_by=DecidedBy.HUMAN,
        by=command.by,
        reason=command.reason,
    )


def _again(stands: ApprovalDecided, decided: ApprovalDecided) -> tuple[Fact, ...]:
    if stands == decided:
        return ()
    raise Conflict(
        f"this approval was {stands.verdict} by {stands.by} already; a decision is final", code="ALREADY_DECIDED",
        approval_id=stands.approval_id, verdict=stands.verdict, decided_by=stands.decided_by, by=stands.by,
    )  # fmt: skip


def _expire(approval: Approval | None, command: ExpireApproval) -> tuple[Fact, ...]:
    known = _known(approval, command.approval_id)
    if known.decision or not known.expires_at or command.at < known.expires_at:
        return ()
    expired = ApprovalDecided(
        approval_id=command.approval_id,
        verdict=Verdict.REJECTED,
        decided_by=DecidedBy.TIMEOUT,
        by="timeout",
        reason="nobody decided in time",
    )
    return (expired,)


def _known(approval: Approval | None, approval_id: str) -> Approval:
    if approval is None:
        raise NotFound("there is no approval by that id on this task", code="APPROVAL_NOT_FOUND", approval_id=approval_id)
    return approval
