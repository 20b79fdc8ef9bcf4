"""What becomes of an approval when its time is up, and of a decision that comes in the gap before the timer."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.unit.approvals.stories import HOUR, NOON, ONE, TWO, answer, asked, decided, escalated, folded, given, time_up, timed_out, voted
from trunkline.contracts.approval import ApprovalOverdue, ApprovalPolicy, OnExpiry, Stage, Verdict
from trunkline.contracts.errors import Conflict, NotFound
from trunkline.contracts.message import Fact
from trunkline_approvals.model import Approval, TimeUp, next_wake

REJECT, APPROVE, HOLD = (ApprovalPolicy(first=HOUR, on_expiry=word) for word in (OnExpiry.REJECT, OnExpiry.APPROVE, OnExpiry.HOLD))
LAST = Stage(roles=("admin",), expires_s=None, notify=("cto",))
CHAIN = ApprovalPolicy(first=HOUR, on_expiry=OnExpiry.ESCALATE, escalation=(Stage(expires_s=3600, notify=("on-call",)), LAST))
SHORT_CHAIN = CHAIN.model_copy(update={"escalation": CHAIN.escalation[:1]})
OVERDUE = ApprovalOverdue(approval_id="a7")
THREE = NOON + timedelta(hours=3)


@pytest.mark.parametrize(
    ("facts", "cue", "then"),
    [
        pytest.param((asked(REJECT),), time_up(), (timed_out(),), id="rejected"),
        pytest.param((asked(APPROVE),), time_up(), (timed_out(Verdict.APPROVED),), id="approved"),
        pytest.param((asked(HOLD),), time_up(), (OVERDUE,), id="held"),
        pytest.param((asked(HOLD), OVERDUE), time_up(), (), id="overdue-is-said-once"),
        pytest.param((asked(CHAIN),), time_up(), (escalated(1, TWO, ("on-call",)),), id="escalated"),
        pytest.param((asked(CHAIN), escalated()), time_up(TWO, 1), (escalated(2, None, ("cto",)),), id="and-on-to-the-last"),
        pytest.param((asked(SHORT_CHAIN), escalated()), time_up(TWO, 1), (timed_out(),), id="after-the-last-stage-it-is-rejected"),
        pytest.param((asked(CHAIN), escalated()), time_up(), (), id="the-timer-of-an-earlier-stage-does-nothing"),
        pytest.param((asked(CHAIN), escalated()), time_up(THREE), (), id="however-late-it-is"),
        pytest.param((asked(CHAIN), escalated()), time_up(ONE, 1), (), id="a-timer-that-was-set-by-a-try-that-failed-does-nothing"),
        pytest.param((asked(CHAIN), escalated(2, None)), time_up(THREE, 2), (), id="a-stage-without-end-does-not-end"),
        pytest.param((asked(REJECT),), time_up(NOON), (), id="an-early-timer-does-nothing"),
        pytest.param((asked(REJECT, expires_at=None),), time_up(), (), id="without-expiry-a-timer-does-nothing"),
        pytest.param((asked(REJECT), decided()), time_up(), (), id="a-late-timer-does-nothing"),
        pytest.param((asked(REJECT), timed_out()), time_up(), (), id="a-second-timer-does-nothing"),
        pytest.param((asked(CHAIN), decided()), time_up(TWO, 1), (), id="nor-does-the-timer-of-a-stage-that-never-came"),
        pytest.param((asked(REJECT), voted("ann")), time_up(), (timed_out(),), id="votes-that-are-not-enough-do-not-help"),
    ],
)
def test_when_the_time_is_up(facts: tuple[Fact, ...], cue: TimeUp, then: tuple[Fact, ...]) -> None:
    assert given(*facts).when(cue) == then


def test_a_next_stage_has_all_its_time_however_late_the_timer_came() -> None:
    assert given(asked(CHAIN)).when(time_up(now=TWO)) == (escalated(1, THREE, ("on-call",)),)


def test_the_timer_of_a_stage_that_has_not_begun_is_told_apart() -> None:
    with pytest.raises(NotFound) as refusal:
        given(asked(CHAIN)).when(time_up(TWO, 1))
    assert refusal.value.code == "STAGE_NOT_BEGUN"


def test_an_escalation_decides_nothing_by_itself() -> None:
    two, one = Stage(quorum=2, expires_s=3600), Stage(quorum=1, expires_s=3600)
    policy = ApprovalPolicy(first=two, on_expiry=OnExpiry.ESCALATE, escalation=(one,))
    assert given(asked(policy), voted("ann")).when(time_up()) == (escalated(),)
    assert given(asked(policy), voted("ann"), escalated()).when(time_up(TWO, 1)) == (timed_out(),)
    assert given(asked(policy), voted("ann"), escalated()).when(answer(by="bob")) == (decided(by="bob"),)


@pytest.mark.parametrize(
    "facts", [(asked(REJECT),), (asked(APPROVE),), (asked(SHORT_CHAIN), escalated())], ids=["reject", "approve", "last"]
)
def test_a_decision_after_the_moment_is_too_late_where_the_timer_will_end_it(facts: tuple[Fact, ...]) -> None:
    with pytest.raises(Conflict) as refusal:
        given(*facts).when(answer(at=TWO))
    assert refusal.value.code == "EXPIRED"


@pytest.mark.parametrize("facts", [(asked(HOLD),), (asked(HOLD), OVERDUE), (asked(CHAIN),), (asked(CHAIN), escalated(2, None))])
def test_a_decision_after_the_moment_counts_where_the_question_stays_open(facts: tuple[Fact, ...]) -> None:
    assert given(*facts).when(answer(at=TWO)) == (decided(),)


@pytest.mark.parametrize(
    ("facts", "cue", "then"),
    [
        pytest.param((asked(CHAIN),), time_up(), (TWO, 1), id="of-the-next-stage"),
        pytest.param((asked(CHAIN),), time_up(TWO, 1), None, id="not-of-a-stage-that-has-no-end"),
        pytest.param((asked(REJECT),), time_up(), None, id="not-without-a-next-stage"),
        pytest.param((asked(CHAIN),), time_up(NOON), None, id="not-for-an-early-one"),
        pytest.param((asked(CHAIN), decided()), time_up(), None, id="not-once-it-is-decided"),
        pytest.param((asked(CHAIN), escalated()), time_up(), None, id="not-for-a-stage-that-is-past"),
    ],
)
def test_the_timer_that_is_set_before_the_fact(facts: tuple[Fact, ...], cue: TimeUp, then: tuple[datetime, int] | None) -> None:
    approval = folded(*facts)
    assert isinstance(approval, Approval)
    found = next_wake(approval, cue)
    assert (found and (found.at, found.stage)) == then
