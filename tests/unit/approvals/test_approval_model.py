"""What is asked, under which policy, and what everybody may do with one approval of the plainest kind."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.unit.approvals.stories import (
    DIGEST,
    NOON,
    ONE,
    OTHER_DIGEST,
    POLICY,
    WITHDRAW,
    answer,
    ask,
    asked,
    decided,
    folded,
    given,
    request,
    time_up,
    timed_out,
    wake,
)
from trunkline.contracts.approval import (
    ApprovalAnswer,
    ApprovalDecided,
    ApprovalPolicy,
    ApprovalWithdrawn,
    DecidedBy,
    Stage,
    Verdict,
)
from trunkline.contracts.errors import Conflict, Denied, DomainError, Invalid, NotFound
from trunkline.contracts.message import Fact, UnknownFact
from trunkline_approvals.model import Cue, Rule, expiry, place, standing, timer_id

EVER = ApprovalPolicy(first=Stage(expires_s=None))
ASKED_FOR_EVER = asked(EVER, expires_at=None)
WITHDRAWN = ApprovalWithdrawn(approval_id="a7", reason="the task is over")
LATE = ONE + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("facts", "cue", "then"),
    [
        pytest.param((), ask(), (asked(),), id="asked"),
        pytest.param((), ask(EVER), (ASKED_FOR_EVER,), id="asked-without-expiry"),
        pytest.param((asked(),), ask(), (), id="asking-again-changes-nothing"),
        pytest.param(
            (asked(),), ask(EVER, at=ONE, subject="In other words."), (), id="asking-again-late-under-other-rules-changes-nothing"
        ),
        pytest.param((asked(), decided()), ask(), (), id="asking-again-after-the-decision-changes-nothing"),
        pytest.param((asked(), WITHDRAWN), ask(), (), id="what-was-withdrawn-is-not-asked-again"),
        pytest.param((asked(),), answer(), (decided(),), id="approved"),
        pytest.param((asked(),), answer(digest=None), (decided(),), id="whatever-was-asked-is-approved"),
        pytest.param((asked(),), answer(Verdict.REJECTED, reason="no"), (decided(Verdict.REJECTED, reason="no"),), id="rejected"),
        pytest.param((asked(),), answer(at=ONE - timedelta(microseconds=1)), (decided(),), id="approved-in-the-last-moment"),
        pytest.param((ASKED_FOR_EVER,), answer(at=ONE + timedelta(days=900)), (decided(),), id="without-expiry-there-is-time"),
        pytest.param((asked(), decided()), answer(), (), id="the-very-same-decision-writes-nothing"),
        pytest.param((asked(), decided()), answer(reason="sent twice", at=LATE), (), id="a-decision-is-known-by-its-id-also-after-expiry"),
        pytest.param((asked(), WITHDRAWN), WITHDRAW, (), id="withdrawn-once"),
        pytest.param((asked(),), WITHDRAW, (WITHDRAWN,), id="withdrawn"),
        pytest.param((asked(), decided()), WITHDRAW, (), id="what-is-decided-is-not-withdrawn"),
        pytest.param((), WITHDRAW, (WITHDRAWN,), id="withdrawn-before-anybody-asked"),
        pytest.param((WITHDRAWN,), WITHDRAW, (), id="withdrawn-once-before-anybody-asked"),
        pytest.param((WITHDRAWN,), ask(), (), id="and-then-nobody-asks"),
        pytest.param((UnknownFact(type="approval.wondered"), asked()), answer(), (decided(),), id="facts-of-the-future-are-passed-over"),
    ],
)
def test_what_follows(facts: tuple[Fact, ...], cue: Cue, then: tuple[Fact, ...]) -> None:
    assert given(*facts).when(cue) == then


@pytest.mark.parametrize(
    ("facts", "cue", "kind", "code"),
    [
        pytest.param((asked(),), ask(digest=OTHER_DIGEST), Conflict, "DIGEST_DIFFERS", id="an-id-stands-for-one-act"),
        pytest.param((asked(), decided()), ask(digest=OTHER_DIGEST), Conflict, "DIGEST_DIFFERS", id="also-once-it-is-decided"),
        pytest.param((), ask(digest="yes"), Invalid, "BAD_DIGEST", id="a-digest-is-sha-256"),
        pytest.param((), ask(expires_at=NOON), Invalid, "EXPIRY_PASSED", id="nobody-asks-what-has-expired"),
        pytest.param((), answer(), NotFound, "APPROVAL_NOT_FOUND", id="an-unknown-approval-is-not-decided"),
        pytest.param((WITHDRAWN,), answer(), NotFound, "APPROVAL_NOT_FOUND", id="nor-one-that-was-never-asked"),
        pytest.param((), time_up(), NotFound, "APPROVAL_NOT_FOUND", id="an-unknown-approval-does-not-expire"),
        pytest.param((asked(),), answer(digest=OTHER_DIGEST), Conflict, "DIGEST_DIFFERS", id="a-decision-is-about-the-exact-act"),
        pytest.param((asked(),), answer(at=ONE), Conflict, "EXPIRED", id="too-late"),
        pytest.param((asked(), decided()), answer(Verdict.REJECTED), Conflict, "ALREADY_DECIDED", id="nobody-changes-their-mind"),
        pytest.param((asked(), decided()), answer(by="bob"), Conflict, "ALREADY_DECIDED", id="somebody-else-was-faster"),
        pytest.param((asked(), decided()), answer(by="bob", decision_id="d-ann"), Conflict, "ALREADY_DECIDED", id="an-id-is-one-person's"),
        pytest.param((asked(), decided()), answer(decision_id="d2"), Conflict, "ALREADY_DECIDED", id="a-second-wish-is-no-repeat"),
        pytest.param((asked(), timed_out()), answer(), Conflict, "ALREADY_DECIDED", id="the-clock-was-faster"),
        pytest.param((asked(), WITHDRAWN), answer(), Conflict, "ALREADY_DECIDED", id="what-was-withdrawn-is-not-decided"),
        pytest.param((asked(),), answer(role="user"), Denied, "NOT_ENTITLED", id="not-everybody-may-decide"),
        pytest.param((asked(),), answer(role=""), Denied, "NOT_ENTITLED", id="least-of-all-somebody-without-a-role"),
    ],
)
def test_what_is_refused(facts: tuple[Fact, ...], cue: Cue, kind: type[DomainError], code: str) -> None:
    with pytest.raises(kind) as refusal:
        given(*facts).when(cue)
    assert refusal.value.code == code


def test_a_rule_may_decide_at_once() -> None:
    policy = ApprovalPolicy(name="reading is free")
    question, decision = given().when(ask(policy, Verdict.APPROVED))
    assert question == asked(policy, expires_at=None)
    assert isinstance(decision, ApprovalDecided)
    assert (decision.verdict, decision.decided_by, decision.by) == ("approved", DecidedBy.POLICY, "reading is free")
    assert decision.digest == DIGEST


@pytest.mark.parametrize(
    ("wished", "policy_s", "then"),
    [
        pytest.param(None, 3600, ONE, id="as-the-policy-says"),
        pytest.param(NOON + timedelta(minutes=5), 3600, NOON + timedelta(minutes=5), id="earlier-where-the-request-says-so"),
        pytest.param(ONE + timedelta(days=1), 3600, ONE, id="never-later"),
        pytest.param(ONE, None, ONE, id="only-the-request-says"),
        pytest.param(None, None, None, id="never"),
    ],
)
def test_when_an_approval_expires(wished: datetime | None, policy_s: float | None, then: datetime | None) -> None:
    rule = Rule(ApprovalPolicy(first=Stage(expires_s=policy_s)))
    assert expiry(rule, request(expires_at=wished)) == then


def test_a_refusal_says_who_decided_and_how() -> None:
    with pytest.raises(Conflict) as refusal:
        given(asked(), decided(Verdict.REJECTED)).when(answer(by="bob"))
    assert refusal.value.details == {"approval_id": "a7", "status": "rejected", "decided_by": "human", "by": "ann"}
    with pytest.raises(Conflict) as refusal:
        given(asked(), WITHDRAWN).when(answer(by="bob"))
    assert refusal.value.details == {"approval_id": "a7", "status": "withdrawn"}


def test_an_approval_lies_on_a_subject_of_its_own_or_is_refused() -> None:
    assert place(answer()) == "evt.acme.t1.approval-a7"
    assert place(wake()) == place(request()) == place(answer()) == place(WITHDRAW)
    place(request(approval_id="x" * 55))
    with pytest.raises(Invalid):
        place(request(approval_id="x" * 56))


def test_approvals_of_the_same_name_have_timers_of_their_own() -> None:
    others = ({"task_id": "t2"}, {"tenant": "umbrella"}, {"stage": 1}, {"at": NOON})
    assert len({timer_id(timer) for timer in [wake(), *(wake().model_copy(update=other) for other in others)]}) == 5
    assert timer_id(wake()) == timer_id(wake())


@pytest.mark.parametrize(
    ("facts", "status", "votes"),
    [
        ((asked(),), "pending", 0),
        ((asked(), decided()), "approved", 1),
        ((asked(), decided(Verdict.REJECTED)), "rejected", 0),
        ((asked(), timed_out(Verdict.APPROVED)), "approved", 0),
        ((asked(), WITHDRAWN), "withdrawn", 0),
        ((WITHDRAWN,), "withdrawn", 0),
    ],
)
def test_an_answer_says_how_an_approval_stands(facts: tuple[Fact, ...], status: str, votes: int) -> None:
    assert standing(folded(*facts), answer()) == ApprovalAnswer(approval_id="a7", task_id="t1", status=status, votes=votes, quorum=1)


def test_an_approval_keeps_the_policy_that_it_was_asked_under() -> None:
    (question,) = given().when(ask(POLICY))
    assert question == asked(POLICY)
    assert given(question).when(ask(EVER)) == ()
