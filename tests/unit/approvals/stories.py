"""What the tests of the approval's model tell their stories with: given these facts, when this happens, then these facts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from trunkline.contracts.approval import (
    ApprovalDecided,
    ApprovalEscalated,
    ApprovalPolicy,
    ApprovalRequested,
    ApprovalVoted,
    DecideApproval,
    DecidedBy,
    RequestApproval,
    Stage,
    Verdict,
)
from trunkline.contracts.calls import Allowance
from trunkline.contracts.message import Fact
from trunkline_approvals.model import Ask, Cue, ExpireApproval, Rule, State, TimeUp, Withdraw, decide, evolve

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
ONE = NOON + timedelta(hours=1)
TWO = NOON + timedelta(hours=2)
DIGEST, OTHER_DIGEST = "a" * 64, "b" * 64
HOUR = Stage(expires_s=3600)
POLICY = ApprovalPolicy(first=HOUR)


def request(**changes: object) -> RequestApproval:
    return RequestApproval.model_validate(
        {
            "tenant": "acme", "at": NOON, "approval_id": "a7", "task_id": "t1", "subject": "Deploy to production.", "digest": DIGEST,
            "requested_by": "dev-agent", **changes,
        }
    )  # fmt: skip


def ask(policy: ApprovalPolicy = POLICY, verdict: Verdict | None = None, **changes: object) -> Ask:
    return Ask(request(**changes), Rule(policy, verdict=verdict))


def answer(verdict: Verdict = Verdict.APPROVED, **changes: object) -> DecideApproval:
    """Ann's, who is an approver, unless told otherwise."""
    given = {"by": "ann", "role": "approver", "decision_id": f"d-{changes.get('by', 'ann')}", **changes}
    return DecideApproval.model_validate(
        {"tenant": "acme", "at": NOON, "approval_id": "a7", "task_id": "t1", "verdict": verdict, "digest": DIGEST, **given}
    )


def wake(at: datetime = ONE, stage: int = 0) -> ExpireApproval:
    return ExpireApproval(tenant="acme", at=at, approval_id="a7", task_id="t1", stage=stage)


def time_up(at: datetime = ONE, stage: int = 0, now: datetime | None = None) -> TimeUp:
    return TimeUp(wake(at, stage), now or at)


WITHDRAW = Withdraw("acme", "t1", "a7", "the task is over")


def asked(policy: ApprovalPolicy = POLICY, **changes: object) -> ApprovalRequested:
    said = {"approval_id": "a7", "subject": "Deploy to production.", "digest": DIGEST, "requested_by": "dev-agent", "expires_at": ONE}
    return ApprovalRequested.model_validate({**said, "policy": policy, **changes})


def voted(by: str, verdict: Verdict = Verdict.APPROVED, allowance: Allowance | None = None) -> ApprovalVoted:
    return ApprovalVoted(approval_id="a7", verdict=verdict, by=by, role="approver", decision_id=f"d-{by}", allowance=allowance)


def decided(verdict: Verdict = Verdict.APPROVED, by: str = "ann", role: str = "approver", reason: str = "") -> ApprovalDecided:
    return ApprovalDecided(
        approval_id="a7", verdict=verdict, decided_by=DecidedBy.HUMAN, by=by, role=role, reason=reason, digest=DIGEST, decision_id=f"d-{by}"
    )


def timed_out(verdict: Verdict = Verdict.REJECTED) -> ApprovalDecided:
    return ApprovalDecided(
        approval_id="a7", verdict=verdict, decided_by=DecidedBy.TIMEOUT, by="timeout", reason="nobody decided in time", digest=DIGEST
    )


def escalated(stage: int = 1, expires_at: datetime | None = TWO, notify: tuple[str, ...] = ()) -> ApprovalEscalated:
    return ApprovalEscalated(approval_id="a7", stage=stage, notify=notify, expires_at=expires_at)


def folded(*facts: Fact) -> State | None:
    state: State | None = None
    for fact in facts:
        state = evolve(state, fact)
    return state


@dataclass(frozen=True)
class Given:
    facts: tuple[Fact, ...]

    def when(self, cue: Cue) -> tuple[Fact, ...]:
        return decide(folded(*self.facts), cue)


def given(*facts: Fact) -> Given:
    return Given(facts)
