"""What may happen to an approval, said as given / when / then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from trunkline.contracts.approval import ApprovalDecided, ApprovalRequested, DecideApproval, DecidedBy, RequestApproval, Verdict
from trunkline.contracts.errors import Conflict, Denied, DomainError, Invalid, NotFound
from trunkline.contracts.message import Fact, UnknownFact
from trunkline_approvals.model import Approval, ApprovalCommand, ExpireApproval, decide, evolve, place, status, timer_id

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
ONE = NOON + timedelta(hours=1)
DIGEST, OTHER_DIGEST = "a" * 64, "b" * 64


def ask(**changes: object) -> RequestApproval:
    return RequestApproval.model_validate(
        {
            "tenant": "acme", "at": NOON, "approval_id": "a7", "task_id": "t1", "subject": "Deploy to production.", "digest": DIGEST,
            "requested_by": "dev-agent", "expires_at": ONE, **changes,
        }
    )  # fmt: skip


def answer(verdict: Verdict = Verdict.APPROVED, **changes: object) -> DecideApproval:
    return DecideApproval.model_validate(
        {"tenant": "acme", "at": NOON, "approval_id": "a7", "task_id": "t1", "verdict": verdict, "digest": DIGEST, "by": "ann", **changes}
    )


def expire(at: datetime = ONE) -> ExpireApproval:
    return ExpireApproval(tenant="acme", at=at, approval_id="a7", task_id="t1")


def decided(verdict: Verdict = Verdict.APPROVED, by: str = "ann", reason: str = "") -> ApprovalDecided:
    return ApprovalDecided(approval_id="a7", verdict=verdict, decided_by=DecidedBy.HUMAN, by=by, reason=reason)


ASKED = ApprovalRequested(
    approval_id="a7", subject="Deploy to production.", digest=DIGEST, requested_by="dev-agent", expires_at=ONE
)  # fmt: skip
ASKED_FOR_EVER = ASKED.model_copy(update={"expires_at": None})
TIMED_OUT = ApprovalDecided(
    approval_id="a7", verdict=Verdict.REJECTED, decided_by=DecidedBy.TIMEOUT, by="timeout", reason="nobody decided in time"
)


@dataclass(frozen=True)
class Given:
    facts: tuple[Fact, ...]

    def state(self) -> Approval | None:
        approval: Approval | None = None
        for fact in self.facts:
            approval = evolve(approval, fact)
        return approval

    def when(self, command: ApprovalCommand) -> tuple[Fact, ...]:
        return decide(self.state(), command)


def given(*facts: Fact) -> Given:
    return Given(facts)


@pytest.mark.parametrize(
    ("facts", "command", "then"),
    [
        pytest.param((), ask(), (ASKED,), id="asked"),
        pytest.param((), ask(expires_at=None), (ASKED_FOR_EVER,), id="asked-without-expiry"),
        pytest.param((ASKED,), ask(), (), id="asking-again-changes-nothing"),
        pytest.param((ASKED,), ask(at=ONE, subject="The same in other words."), (), id="asking-again-late-changes-nothing"),
        pytest.param((ASKED, decided()), ask(), (), id="asking-again-after-the-decision-changes-nothing"),
        pytest.param((ASKED,), answer(), (decided(),), id="approved"),
        pytest.param((ASKED,), answer(Verdict.REJECTED, reason="no"), (decided(Verdict.REJECTED, reason="no"),), id="rejected"),
        pytest.param((ASKED,), answer(at=ONE - timedelta(microseconds=1)), (decided(),), id="approved-in-the-last-moment"),
        pytest.param((ASKED_FOR_EVER,), answer(at=ONE + timedelta(days=900)), (decided(),), id="without-expiry-there-is-time"),
        pytest.param((ASKED, decided()), answer(), (), id="the-very-same-decision-writes-nothing"),
        pytest.param((ASKED, decided()), answer(at=ONE), (), id="the-very-same-decision-after-expiry-writes-nothing"),
        pytest.param((ASKED,), expire(), (TIMED_OUT,), id="expired"),
        pytest.param((ASKED,), expire(at=NOON), (), id="an-early-timer-does-nothing"),
        pytest.param((ASKED_FOR_EVER,), expire(), (), id="a-timer-without-expiry-does-nothing"),
        pytest.param((ASKED, decided()), expire(), (), id="a-late-timer-does-nothing"),
        pytest.param((ASKED, TIMED_OUT), expire(), (), id="a-second-timer-does-nothing"),
        pytest.param((UnknownFact(type="approval.escalated"), ASKED), answer(), (decided(),), id="facts-of-the-future-are-passed-over"),
    ],
)
def test_what_follows(facts: tuple[Fact, ...], command: ApprovalCommand, then: tuple[Fact, ...]) -> None:
    assert given(*facts).when(command) == then


@pytest.mark.parametrize(
    ("facts", "command", "kind", "code"),
    [
        pytest.param((ASKED,), ask(digest=OTHER_DIGEST), Conflict, "DIGEST_DIFFERS", id="an-id-stands-for-one-act"),
        pytest.param((), ask(digest="yes"), Invalid, "BAD_DIGEST", id="a-digest-is-sha-256"),
        pytest.param((), ask(expires_at=NOON), Invalid, "EXPIRY_PASSED", id="nobody-asks-what-has-expired"),
        pytest.param((), answer(), NotFound, "APPROVAL_NOT_FOUND", id="an-unknown-approval-is-not-decided"),
        pytest.param((), expire(), NotFound, "APPROVAL_NOT_FOUND", id="an-unknown-approval-does-not-expire"),
        pytest.param((ASKED,), answer(digest=OTHER_DIGEST), Conflict, "DIGEST_DIFFERS", id="a-decision-is-about-the-exact-act"),
        pytest.param((ASKED,), answer(by="dev-agent"), Denied, "OWN_REQUEST", id="nobody-approves-their-own-request"),
        pytest.param((ASKED,), answer(Verdict.REJECTED, by="dev-agent"), Denied, "OWN_REQUEST", id="nor-rejects-it"),
        pytest.param((ASKED,), answer(at=ONE), Conflict, "EXPIRED", id="too-late"),
        pytest.param((ASKED, decided()), answer(Verdict.REJECTED), Conflict, "ALREADY_DECIDED", id="nobody-changes-their-mind"),
        pytest.param((ASKED, decided()), answer(by="bob"), Conflict, "ALREADY_DECIDED", id="somebody-else-was-faster"),
        pytest.param((ASKED, decided()), answer(reason="why not"), Conflict, "ALREADY_DECIDED", id="nor-is-the-reason-rewritten"),
        pytest.param((ASKED, TIMED_OUT), answer(), Conflict, "ALREADY_DECIDED", id="the-clock-was-faster"),
    ],
)
def test_what_is_refused(facts: tuple[Fact, ...], command: ApprovalCommand, kind: type[DomainError], code: str) -> None:
    with pytest.raises(kind) as refusal:
        given(*facts).when(command)
    assert refusal.value.code == code


def test_a_refusal_says_who_decided_and_how() -> None:
    with pytest.raises(Conflict) as refusal:
        given(ASKED, decided(Verdict.REJECTED)).when(answer(by="bob"))
    assert refusal.value.details == {"approval_id": "a7", "verdict": "rejected", "decided_by": "human", "by": "ann"}


def test_an_approval_lies_on_a_subject_of_its_own_or_is_refused() -> None:
    assert place(answer()) == "evt.acme.t1.approval-a7"
    assert place(expire()) == place(ask()) == place(answer())
    place(ask(approval_id="x" * 55))
    with pytest.raises(Invalid):
        place(ask(approval_id="x" * 56))


def test_approvals_of_the_same_name_have_timers_of_their_own() -> None:
    timers = [expire(), expire(NOON), *(expire().model_copy(update=other) for other in ({"task_id": "t2"}, {"tenant": "umbrella"}))]
    assert len({timer_id(timer) for timer in timers}) == 4
    assert timer_id(expire()) == timer_id(expire())


@pytest.mark.parametrize(("facts", "word"), [((ASKED,), "pending"), ((ASKED, decided()), "approved"), ((ASKED, TIMED_OUT), "rejected")])
def test_an_approval_says_in_one_word_how_it_stands(facts: tuple[Fact, ...], word: str) -> None:
    assert status(given(*facts).state()) == word
