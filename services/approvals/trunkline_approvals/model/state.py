"""An approval as its facts tell it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from trunkline.contracts.approval import (
    ApprovalAnswer,
    ApprovalDecided,
    ApprovalEscalated,
    ApprovalOverdue,
    ApprovalPolicy,
    ApprovalRequested,
    ApprovalVoted,
    ApprovalWithdrawn,
    DecideApproval,
    DecidedBy,
    OnExpiry,
    Stage,
    Verdict,
)
from trunkline.contracts.approval_views import PENDING, WITHDRAWN
from trunkline.contracts.message import Fact
from trunkline_approvals.model.cues import Named


@dataclass(frozen=True, slots=True)
class Approval:
    """The question as it was asked, what people said so far, and how it ended once it has."""

    asked: ApprovalRequested
    expires_at: datetime | None
    """When the time of the current stage is up."""
    stage: int = 0
    votes: tuple[ApprovalVoted, ...] = ()
    """Those before the one that decided."""
    overdue: bool = False
    end: ApprovalDecided | ApprovalWithdrawn | None = None

    @property
    def policy(self) -> ApprovalPolicy:
        return self.asked.policy

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Everybody who is asked, sooner or later, in order."""
        further = self.policy.escalation if self.policy.on_expiry is OnExpiry.ESCALATE else ()
        return (self.policy.first, *further)

    @property
    def current(self) -> Stage:
        return self.stages[self.stage]

    @property
    def next(self) -> Stage | None:
        """Who is asked when nobody decides in time."""
        return self.stages[self.stage + 1] if self.stage + 1 < len(self.stages) else None

    def asks(self, by: str, role: str) -> tuple[Stage, ...]:
        """The stages that ask this one, up to the current."""
        return tuple(stage for stage in self.stages[: self.stage + 1] if role in stage.roles or by in stage.names)

    def needed(self, by: str, role: str) -> int:
        """How many must say the same where the last of them is this one: silence must not make fewer of those enough who were silent."""
        return max(stage.quorum for stage in (*self.asks(by, role)[-1:], self.current))

    @property
    def status(self) -> str:
        match self.end:
            case ApprovalDecided(verdict=verdict):
                return str(verdict)
            case ApprovalWithdrawn():
                return WITHDRAWN
            case None:
                return PENDING

    def saying(self, verdict: Verdict) -> int:
        """How many different people said so."""
        last = isinstance(self.end, ApprovalDecided) and self.end.decided_by is DecidedBy.HUMAN and self.end.verdict is verdict
        return sum(vote.verdict is verdict for vote in self.votes) + last


@dataclass(frozen=True, slots=True)
class Forestalled:
    """Withdrawn before anybody asked: it will never be asked."""


State = Approval | Forestalled


def evolve(state: State | None, fact: Fact, _at: datetime | None = None) -> State | None:
    """The approval after one more fact; facts that are not understood change nothing."""
    match state, fact:
        case None, ApprovalRequested():
            return Approval(asked=fact, expires_at=fact.expires_at)
        case None, ApprovalWithdrawn():
            return Forestalled()
        case Approval(), ApprovalVoted():
            return replace(state, votes=(*state.votes, fact))
        case Approval(), ApprovalEscalated():
            return replace(state, stage=fact.stage, expires_at=fact.expires_at)
        case Approval(), ApprovalOverdue():
            return replace(state, overdue=True)
        case Approval(), ApprovalDecided() | ApprovalWithdrawn():
            return replace(state, end=fact)
        case _:
            return state


def standing(state: State | None, about: Named) -> ApprovalAnswer:
    """How an approval stands, as its owner answers."""
    if not isinstance(state, Approval):
        return ApprovalAnswer(approval_id=about.approval_id, task_id=about.task_id, status=WITHDRAWN if state else PENDING)
    return ApprovalAnswer(
        approval_id=about.approval_id,
        task_id=about.task_id,
        status=state.status,
        votes=state.saying(Verdict.APPROVED),
        quorum=state.needed(about.by, about.role) if isinstance(about, DecideApproval) else state.current.quorum,
    )
