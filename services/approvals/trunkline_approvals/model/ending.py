"""How an approval goes on without anybody's decision: its time is up, or what it is about will not happen."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import assert_never

from trunkline.contracts.approval import (
    ApprovalDecided,
    ApprovalEscalated,
    ApprovalOverdue,
    ApprovalWithdrawn,
    DecidedBy,
    OnExpiry,
    Stage,
    Verdict,
)
from trunkline.contracts.errors import NotFound
from trunkline.contracts.message import Fact
from trunkline_approvals.model.cues import ExpireApproval, TimeUp, Withdraw
from trunkline_approvals.model.state import Approval, Forestalled


def time_up(approval: Approval, cue: TimeUp) -> tuple[Fact, ...]:
    """Raises NotFound for the timer of a stage that has not begun: it was faster than what it belongs to."""
    wake = cue.wake
    if wake.stage > approval.stage and not approval.end:
        raise NotFound("nobody was asked at this stage yet", code="STAGE_NOT_BEGUN", approval_id=wake.approval_id)
    # A timer only reminds; the facts say whether the time is up.
    if approval.end or wake.stage < approval.stage or not approval.expires_at or wake.at < approval.expires_at:
        return ()
    match approval.policy.on_expiry:
        case OnExpiry.REJECT:
            return (_timed_out(approval, Verdict.REJECTED),)
        case OnExpiry.APPROVE:
            return (_timed_out(approval, Verdict.APPROVED),)
        case OnExpiry.HOLD:
            return () if approval.overdue else (ApprovalOverdue(approval_id=wake.approval_id),)
        case OnExpiry.ESCALATE:
            return (_escalated(approval, approval.next, cue.now) if approval.next else _timed_out(approval, Verdict.REJECTED),)
        case never:
            assert_never(never)


def until(stage: Stage, now: datetime) -> datetime | None:
    """When the time of a stage that begins now is up; None: never."""
    return now + timedelta(seconds=stage.expires_s) if stage.expires_s else None


def next_wake(approval: Approval, cue: TimeUp) -> ExpireApproval | None:
    """The timer of the stage that this one leads to; None when it leads to none, or that one has all the time."""
    wake = cue.wake
    early = wake.stage == approval.stage and approval.expires_at is not None and wake.at < approval.expires_at
    further = approval.stages[wake.stage + 1 :]
    if early or approval.end or wake.stage < approval.stage or not further:
        return None
    at = until(further[0], cue.now)
    return wake.model_copy(update={"at": at, "stage": wake.stage + 1, "looks": 0}) if at else None


def withdraw(approval: Approval, cue: Withdraw) -> tuple[Fact, ...]:
    return () if approval.end else (ApprovalWithdrawn(approval_id=cue.approval_id, reason=cue.reason),)


def forestall(state: Forestalled | None, cue: Withdraw) -> tuple[Fact, ...]:
    """Said even before anybody asked: whoever is about to ask loses the race for the first fact, and finds this one."""
    return () if state else (ApprovalWithdrawn(approval_id=cue.approval_id, reason=cue.reason),)


def _escalated(approval: Approval, stage: Stage, now: datetime) -> ApprovalEscalated:
    """Votes count on, and decide nothing by themselves: fewer may be needed now, but somebody new is to look at it."""
    return ApprovalEscalated(
        approval_id=approval.asked.approval_id, stage=approval.stage + 1, notify=stage.notify, expires_at=until(stage, now)
    )


def _timed_out(approval: Approval, verdict: Verdict) -> ApprovalDecided:
    return ApprovalDecided(
        approval_id=approval.asked.approval_id,
        verdict=verdict,
        decided_by=DecidedBy.TIMEOUT,
        by="timeout",
        reason="nobody decided in time",
        digest=approval.asked.digest,
    )
