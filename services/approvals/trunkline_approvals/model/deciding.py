"""Somebody decides: who may, whether it is still open, and whether they are the last who is needed."""

from __future__ import annotations

from datetime import datetime

from trunkline.auth.principal import Role, may_be_one
from trunkline.contracts.approval import (
    ApprovalDecided,
    ApprovalVoted,
    ApprovalWithdrawn,
    DecideApproval,
    DecidedBy,
    FourEyes,
    OnExpiry,
    Verdict,
)
from trunkline.contracts.errors import Conflict, Denied
from trunkline.contracts.message import Fact
from trunkline_approvals.model.allowing import check_allowance, meant, same
from trunkline_approvals.model.state import Approval


def answer(approval: Approval, command: DecideApproval) -> tuple[Fact, ...]:
    """A vote, or the decision when it is the last one needed; nothing for a repeat. Raises Conflict, Denied, Invalid."""
    _check_act(approval, command)
    if _repeated(approval, command):
        return ()
    _check_rights(approval, command)
    _check_open(approval, command)
    check_allowance(approval, command)
    if approval.saying(command.verdict) + 1 < _needed(approval, command):
        return (_voted(command),)
    return (_decided(command, approval.asked.digest),)


def _voted(command: DecideApproval) -> ApprovalVoted:
    return ApprovalVoted(
        approval_id=command.approval_id,
        verdict=command.verdict,
        by=command.by,
        role=command.role,
        reason=command.reason,
        decision_id=command.decision_id,
        allowance=meant(command.allowance),
    )


def _decided(command: DecideApproval, digest: str) -> ApprovalDecided:
    return ApprovalDecided(
        approval_id=command.approval_id,
        verdict=command.verdict,
        decided_by=DecidedBy.HUMAN,
        by=command.by,
        reason=command.reason,
        digest=digest,
        role=command.role,
        decision_id=command.decision_id,
        allowance=meant(command.allowance),
    )


def _needed(approval: Approval, command: DecideApproval) -> int:
    return 1 if command.verdict is Verdict.REJECTED and approval.policy.veto else approval.needed(command.by, command.role)


def _check_act(approval: Approval, command: DecideApproval) -> None:
    if command.digest not in (None, approval.asked.digest):
        raise Conflict(
            "the decision is about another act than the one asked for; read the approval again", code="DIGEST_DIFFERS",
            approval_id=command.approval_id,
        )  # fmt: skip


def _repeated(approval: Approval, command: DecideApproval) -> bool:
    """Whether this very decision was taken before: its answer may have been lost."""
    wish = (command.decision_id, command.by, command.verdict)
    last = (approval.end,) if isinstance(approval.end, ApprovalDecided) and approval.end.decided_by is DecidedBy.HUMAN else ()
    said = [vote for vote in (*approval.votes, *last) if (vote.decision_id, vote.by, vote.verdict) == wish]
    return any(same(vote.allowance, command.allowance) for vote in said)


def _check_rights(approval: Approval, command: DecideApproval) -> None:
    """An escalation asks more people; whoever was asked before may still decide."""
    if not approval.asks(command.by, command.role):
        raise Denied(
            "the rules of this approval do not let you decide it; ask one of those whom they name", code="NOT_ENTITLED",
            approval_id=command.approval_id,
        )  # fmt: skip
    if may_be_one(command.by, approval.asked.requested_by) and not _may_decide_own(approval.policy.four_eyes, command.role):
        raise Denied("whoever asked may not decide; somebody else must", code="OWN_REQUEST", approval_id=command.approval_id)


def _may_decide_own(rule: FourEyes, role: str) -> bool:
    return rule is FourEyes.OFF or (rule is FourEyes.ON and role == Role.ADMIN)


def _check_open(approval: Approval, command: DecideApproval) -> None:
    if approval.end:
        raise _over(approval, approval.end)
    if _too_late(approval, command.at):
        raise Conflict(
            "the time to decide this is over, and its policy says what becomes of it; ask anew", code="EXPIRED",
            approval_id=command.approval_id,
        )  # fmt: skip
    if any(may_be_one(vote.by, command.by) for vote in approval.votes):
        raise Conflict("you decided this already; now others must", code="ALREADY_VOTED", approval_id=command.approval_id)


def _too_late(approval: Approval, at: datetime) -> bool:
    """Between the moment of expiry and its timer only what the timer would end is refused: a held or escalated question stays open."""
    stays_open = approval.policy.on_expiry is OnExpiry.HOLD or approval.next is not None
    return approval.expires_at is not None and at >= approval.expires_at and not stays_open


def _over(approval: Approval, end: ApprovalDecided | ApprovalWithdrawn) -> Conflict:
    details = {"approval_id": end.approval_id, "status": approval.status}
    if isinstance(end, ApprovalWithdrawn):
        return Conflict("this approval was withdrawn: nobody has to decide any more", code="ALREADY_DECIDED", **details)
    return Conflict(
        f"this approval was {end.verdict} by {end.by} already; a decision is final", code="ALREADY_DECIDED",
        **details, decided_by=end.decided_by, by=end.by,
    )  # fmt: skip
