"""A task in the hands of agents on NATS: one lease at a time, what it may lead to, and what comes too late."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.router.tasks import CANCEL, NOW, asked, report, submitted, when
from trunkline.contracts.agent import AgentReported, Report
from trunkline.contracts.errors import Conflict
from trunkline.contracts.lease import LeaseEnd, TaskAnswered, TaskLeased, TaskLeaseOver
from trunkline.contracts.message import Fact
from trunkline.contracts.run import ApprovalDropped, ApprovalWanted
from trunkline.contracts.task import (
    Assignment,
    Reported,
    StopCause,
    TaskAssigned,
    TaskCancelled,
    TaskFailed,
    TaskGoesOn,
    TaskRetryScheduled,
    TaskStarted,
    TaskStopRequested,
    TaskSucceeded,
    TaskWaits,
)
from trunkline_router.model import AgentAsks, AgentReports, AskDecided, Cue, DeadlineReached, LeaseSilent, LeaseWanted, StopOverdue
from trunkline_router.model.leasing import MOST_GIVEN_BACK

UNTIL = NOW + timedelta(seconds=15)
WANT = LeaseWanted(1, "l1", "bot", "s1", UNTIL)
LEASED = TaskLeased(attempt=1, lease="l1", by="bot", session="s1", until=UNTIL)
BEGAN = TaskStarted(attempt=1, by="bot")
FRESH = submitted(asked(max_retries=1))
HELD = (*FRESH, LEASED)
GOING = (*HELD, BEGAN)
STOP = TaskStopRequested(cause=StopCause.CANCELLED, by="ann", reason="no longer wanted")
OVER = TaskLeaseOver(attempt=1, lease="l1", by="bot", why=LeaseEnd.EXPIRED)
GIVEN_BACK = TaskLeaseOver(attempt=1, lease="l1", by="bot", why=LeaseEnd.RELEASED)
AGAIN = TaskAssigned(pool="dev_agent", attempt=1)
WANTED = ApprovalWanted(attempt=1, approval_id="a-1", kind="input", subject="Which?", digest="d1", requested_by="bot")
WAITS = TaskWaits(why="input", approval_id="a-1")


def said(reported: AgentReported, lease: str = "l1", by: str = "bot", **more: Any) -> AgentReports:
    return AgentReports(Report(task_id="t", lease=lease, reported=reported, **more), by)


def refused(cue: Cue, *given: Fact) -> str:
    with pytest.raises(Conflict) as refusal:
        when(cue, *given)
    return refusal.value.code


def test_whoever_is_first_has_it_and_nobody_else() -> None:
    assert when(WANT, *FRESH) == [LEASED]
    assert when(LeaseWanted(1, "l2", "other", "s2", UNTIL), *HELD) == []
    assert when(LeaseWanted(2, "l2", "other", "s2", UNTIL), *FRESH) == []


def test_what_is_ours_to_carry_out_no_agent_has() -> None:
    assert when(WANT, *submitted(Assignment(repo="acme/calc", prompt="fix it"))) == []


def test_it_begins_and_ends_by_the_word_of_its_agent() -> None:
    assert when(said(AgentReported.STARTED), *HELD) == [BEGAN]
    assert when(said(AgentReported.STARTED), *GOING) == []
    assert when(said(AgentReported.SUCCEEDED, result={"n": 1}), *HELD) == [BEGAN, TaskSucceeded(outcome={"n": 1})]
    failed = when(said(AgentReported.FAILED, error="it broke"), *GOING)
    assert failed == [TaskRetryScheduled(attempt=2, due_at=NOW + timedelta(seconds=2), code="AGENT_FAILED", reason="it broke")]
    assert when(said(AgentReported.FAILED, error="no", code="ODD", mendable=False), *GOING) == [TaskFailed(code="ODD", error="no")]


def test_the_same_word_again_changes_nothing_and_another_is_too_late() -> None:
    done = (*GOING, TaskSucceeded())
    assert when(said(AgentReported.SUCCEEDED), *done) == []
    assert refused(said(AgentReported.FAILED), *done) == "LEASE_LOST"
    assert refused(said(AgentReported.SUCCEEDED, by="thief"), *done) == "LEASE_LOST"


@pytest.mark.parametrize("cue", [said(AgentReported.SUCCEEDED, lease="l0"), said(AgentReported.SUCCEEDED, by="thief")])
def test_no_word_counts_but_that_of_whoever_has_the_lease(cue: AgentReports) -> None:
    assert refused(cue, *GOING) == "LEASE_LOST"
    assert refused(report(Reported.SUCCEEDED), *GOING) == "LEASED"


def test_silence_ends_an_attempt_that_began_and_gives_back_one_that_did_not() -> None:
    vanished = when(LeaseSilent("l1"), *GOING)
    assert vanished[0] == OVER
    assert isinstance(vanished[1], TaskRetryScheduled) and vanished[1].code == "AGENT_LOST"
    assert when(LeaseSilent("l1"), *HELD) == [OVER, AGAIN]
    assert when(LeaseSilent("l0"), *HELD) == []


def test_what_began_by_being_given_is_given_again_twice_where_nobody_was_ever_heard() -> None:
    began = when(replace(WANT, begin=True), *FRESH)
    assert began == [LEASED.model_copy(update={"begun": True}), BEGAN]
    assert when(said(AgentReported.STARTED), *FRESH, *began) == []
    unheard, vanished = LeaseSilent("l1", ever=False), LeaseSilent("l1")
    assert isinstance(when(vanished, *FRESH, *began)[1], TaskRetryScheduled)
    once = (*FRESH, *began, *when(unheard, *FRESH, *began), *began)
    twice = (*once, *when(unheard, *once), *began)
    assert when(unheard, *once) == [OVER, AGAIN] and isinstance(when(unheard, *twice)[1], TaskRetryScheduled)
    assert isinstance(when(unheard, *GOING)[1], TaskRetryScheduled)


def test_what_is_handed_back_waits_again_and_does_not_go_round_for_ever() -> None:
    assert when(said(AgentReported.RELEASED), *GOING) == [GIVEN_BACK, AGAIN]
    rounds = [fact for _ in range(MOST_GIVEN_BACK - 1) for fact in (LEASED, GIVEN_BACK, AGAIN)]
    last = when(said(AgentReported.RELEASED), *FRESH, *rounds, LEASED)
    assert isinstance(last[-1], TaskRetryScheduled) and last[-1].code == "AGENT_LOST"


def test_who_has_it_is_asked_to_stop_and_says_when_it_has() -> None:
    assert when(CANCEL, *FRESH)[-1:] != [STOP]
    stopping = (*GOING, STOP)
    assert isinstance(when(CANCEL, *GOING)[0], TaskStopRequested)
    assert isinstance(when(said(AgentReported.STOPPED), *stopping)[0], TaskCancelled)
    assert isinstance(when(said(AgentReported.FAILED), *stopping)[0], TaskCancelled)
    assert when(said(AgentReported.SUCCEEDED), *stopping) == [TaskSucceeded()]
    assert when(LeaseSilent("l1"), *stopping)[0] == OVER
    assert isinstance(when(StopOverdue(), *stopping)[0], TaskCancelled)
    assert refused(said(AgentReported.STOPPED), *GOING) == "NOT_STOPPING"


def test_a_deadline_asks_whoever_has_it_to_stop() -> None:
    late = when(DeadlineReached(), *GOING, at=NOW + timedelta(days=30))
    assert isinstance(late[0], TaskStopRequested) and late[0].cause is StopCause.DEADLINE


def test_a_question_is_asked_once_and_the_deadline_stands_still() -> None:
    ask = AgentAsks("l1", "bot", WANTED)
    assert when(ask, *GOING) == [WANTED, WAITS]
    assert when(ask, *GOING, WANTED, WAITS) == []
    assert refused(AgentAsks("l1", "bot", WANTED.model_copy(update={"digest": "d2"})), *GOING, WANTED, WAITS) == "ASKED_OTHERWISE"
    assert refused(AgentAsks("l0", "bot", WANTED), *GOING) == "LEASE_LOST"


def test_an_answer_is_a_fact_before_it_is_told_and_the_clock_goes_on() -> None:
    answered = when(AskDecided("l1", "bot", "a-1"), *GOING, WANTED, WAITS)
    assert [type(fact) for fact in answered] == [TaskAnswered, TaskGoesOn]
    assert when(AskDecided("l1", "bot", "a-1"), *GOING, WANTED, WAITS, *answered) == []
    assert refused(AskDecided("l0", "bot", "a-1"), *GOING, WANTED, WAITS) == "LEASE_LOST"


def test_what_is_open_at_the_end_nobody_has_to_decide() -> None:
    ended = when(said(AgentReported.SUCCEEDED), *GOING, WANTED, WAITS)
    assert ended == [ApprovalDropped(attempt=1, approval_id="a-1", reason="the task is over"), TaskSucceeded()]
    assert when(said(AgentReported.SUCCEEDED), *GOING, WANTED, WAITS, TaskAnswered(approval_id="a-1")) == [TaskSucceeded()]
