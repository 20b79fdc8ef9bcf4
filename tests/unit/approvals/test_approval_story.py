"""Any order of asking, deciding and expiring keeps the promises, checked against a model too simple to be wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from trunkline.contracts.approval import ApprovalDecided, DecideApproval, DecidedBy, RequestApproval, Verdict
from trunkline.contracts.errors import DomainError
from trunkline.contracts.message import Fact
from trunkline_approvals.model import Approval, ApprovalCommand, ExpireApproval, decide, evolve

START = datetime(2026, 5, 1, tzinfo=UTC)
EXPIRY = START + timedelta(seconds=10)
DIGESTS = some.sampled_from(["a" * 64, "b" * 64])
PEOPLE = some.sampled_from(["ann", "bob", "agent"])


class AnApproval(RuleBasedStateMachine):
    """The model: what was asked first, and the first decision that was allowed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.facts: list[Fact] = []
        self.asked: tuple[str, str] | None = None
        self.answer: tuple[Verdict, str] | None = None

    def tell(self, command: ApprovalCommand) -> bool:
        """Whether the command was taken; what follows from it is kept."""
        approval: Approval | None = None
        for fact in self.facts:
            approval = evolve(approval, fact)
        try:
            self.facts += decide(approval, command)
        except DomainError:
            return False
        return True

    @rule(seconds=some.integers(0, 4))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(digest=DIGESTS, by=PEOPLE)
    def somebody_asks(self, digest: str, by: str) -> None:
        command = RequestApproval(
            tenant="acme", at=self.now, approval_id="a", task_id="t", subject="?", digest=digest, requested_by=by, expires_at=EXPIRY
        )
        taken = self.tell(command)
        if self.asked is None and self.now < EXPIRY:
            self.asked = (digest, by)
        assert taken == (self.asked is not None and self.asked[0] == digest)

    @rule(digest=DIGESTS, by=PEOPLE, verdict=some.sampled_from(Verdict))
    def somebody_decides(self, digest: str, by: str, verdict: Verdict) -> None:
        command = DecideApproval(tenant="acme", at=self.now, approval_id="a", task_id="t", verdict=verdict, digest=digest, by=by)
        taken = self.tell(command)
        entitled = self.asked is not None and self.asked[0] == digest and self.asked[1] != by
        if entitled and self.answer is None and self.now < EXPIRY:
            self.answer = (verdict, by)
        assert taken == (entitled and self.answer == (verdict, by))

    @precondition(lambda self: self.now >= EXPIRY)
    @rule()
    def the_timer_fires(self) -> None:
        taken = self.tell(ExpireApproval(tenant="acme", at=EXPIRY, approval_id="a", task_id="t"))
        assert taken == (self.asked is not None)
        if self.asked and self.answer is None:
            self.answer = (Verdict.REJECTED, "timeout")

    @invariant()
    def it_is_decided_at_most_once_and_as_the_model_says(self) -> None:
        decisions = [fact for fact in self.facts if isinstance(fact, ApprovalDecided)]
        assert [(fact.verdict, fact.by) for fact in decisions] == ([self.answer] if self.answer else [])
        assert all((fact.decided_by is DecidedBy.TIMEOUT) == (fact.by == "timeout") for fact in decisions)


AnApproval.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
test_any_story = AnApproval.TestCase
