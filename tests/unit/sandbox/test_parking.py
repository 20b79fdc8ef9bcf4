"""Questions of a run as they add up: what is waited for, what an answer allows that came when the program was gone."""

from __future__ import annotations

from datetime import UTC, datetime

from trunkline.contracts.message import Fact
from trunkline.contracts.run import (
    AgentInterrupted,
    AgentStarted,
    ApprovalDropped,
    ApprovalWanted,
    BudgetRaised,
    CallAnswered,
    CallVerdict,
    PushJudged,
    RunClaimed,
    RunGoesOn,
    RunParked,
    RunWaits,
    RunWoken,
    Wait,
)
from trunkline_sandbox.model import Released, Run, Step, bracket, claim, evolve, next_step
from trunkline_sandbox.model.questions import outlived

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CALL_WAITS = RunWaits(attempt=1, why=Wait.TOOL_CALL, approval_id="call-1")
PAUSED = RunWaits(attempt=1, why=Wait.PAUSED)
GOES_ON = RunGoesOn(attempt=1)
BEGUN = (RunClaimed(attempt=1, owner="a"), AgentStarted(agent="claude"))
PUT_ASIDE = (RunParked(attempt=1, sitting=1, why=Wait.TOOL_CALL, session="s"), RunWoken(attempt=1, sitting=2))


def wanted(name: str = "call-1", kind: str = "tool_call", **about: str) -> ApprovalWanted:
    return ApprovalWanted(attempt=1, approval_id=name, kind=kind, subject="s", digest="d", requested_by="agent:claude", about={**about})


def answered(sitting: int = 1, verdict: CallVerdict = CallVerdict.ALLOWED, call: str = "c1") -> CallAnswered:
    return CallAnswered(attempt=1, sitting=sitting, call=call, approval_id="call-1", verdict=verdict, by="eve", digest="d")


def after(*facts: Fact) -> Run:
    run: Run | None = None
    for fact in facts:
        run = evolve(run, fact, NOW)
    assert run is not None
    return run


def test_a_run_waits_from_its_first_question_to_its_last_answer() -> None:
    assert bracket(1, None, (wanted(),), paused=False) == [CALL_WAITS]
    assert bracket(1, CALL_WAITS, (wanted(), wanted("call-2")), paused=False) == []
    assert bracket(1, CALL_WAITS, (wanted("call-2"),), paused=False) == []
    assert bracket(1, CALL_WAITS, (), paused=False) == [GOES_ON]
    assert bracket(1, None, (), paused=False) == []


def test_a_pause_within_a_wait_is_said_and_so_is_its_end() -> None:
    assert bracket(1, CALL_WAITS, (wanted(),), paused=True) == [PAUSED]
    assert bracket(1, PAUSED, (wanted(),), paused=True) == []
    assert bracket(1, PAUSED, (), paused=True) == [], "the answer that comes meanwhile does not end the pause"
    assert bracket(1, PAUSED, (wanted(),), paused=False) == [CALL_WAITS]
    assert bracket(1, PAUSED, (), paused=False) == [GOES_ON]


def test_an_answer_to_a_living_program_grants_nothing_else() -> None:
    run = after(*BEGUN, wanted(), answered())
    assert (run.questions.open, run.questions.grants, run.questions.late) == ((), (), ())
    assert run.questions.answered[1, "c1"].verdict is CallVerdict.ALLOWED


def test_a_yes_to_a_program_that_is_gone_is_for_one_call_of_the_next() -> None:
    run = after(*BEGUN, wanted(), *PUT_ASIDE, answered())
    assert run.questions.grant("d") == answered()
    assert [late.answered for late in run.questions.late] == [answered()]
    seated = evolve(run, AgentStarted(agent="claude", sitting=2), NOW)
    assert seated is not None
    assert seated.questions.late, "whoever takes the next sitting over must be able to tell it too"
    used = evolve(seated, answered(sitting=2, call="c7"), NOW)
    assert used is not None
    assert used.questions.grant("d") is None
    assert after(*BEGUN, wanted(), *PUT_ASIDE, answered(), PUT_ASIDE[0]).questions.late == ()


def test_a_no_to_a_program_that_is_gone_is_told_and_grants_nothing() -> None:
    run = after(*BEGUN, wanted(), *PUT_ASIDE, answered(verdict=CallVerdict.DENIED))
    assert (run.questions.grants, len(run.questions.late)) == ((), 1)


def test_a_question_that_was_taken_back_is_open_no_more() -> None:
    assert after(*BEGUN, wanted(), ApprovalDropped(attempt=1, approval_id="call-1")).questions.open == ()
    assert after(*BEGUN, wanted("push-1", "push"), PushJudged(attempt=1, commit="c", digest="d", cleared=True)).questions.open == ()


def test_what_a_budget_was_raised_by_counts_for_its_own_limit_and_for_later_attempts() -> None:
    run = after(*BEGUN, wanted("budget-1-1", "budget", scope="task"), BudgetRaised(attempt=1, approval_id="budget-1-1", usd=2.0, by="eve"))
    assert dict(run.questions.raised) == {"task": 2.0}
    again = evolve(run, RunClaimed(attempt=2, owner="b"), NOW)
    assert again is not None
    assert dict(again.questions.raised) == {"task": 2.0}
    assert again.questions.asked == 0


def test_a_raise_of_a_days_budget_is_for_that_day() -> None:
    asked = wanted("budget-1-1", "budget", scope="tenant_day", day="20260102")
    run = after(*BEGUN, asked, BudgetRaised(attempt=1, approval_id="budget-1-1", usd=2.0, by="eve"))
    again = evolve(run, RunClaimed(attempt=2, owner="b"), NOW)
    assert again is not None
    assert dict(again.questions.raised_days) == {"20260102": 2.0}
    assert [outlived(asked, day) for day in ("20260101", "20260102", "20260103")] == [False, False, True]
    assert not outlived(wanted("budget-1-1", "budget", scope="task"), "20260103")


def test_of_two_items_of_one_round_only_that_one_counts_which_took_the_run_up() -> None:
    parked = after(*BEGUN, wanted(), PUT_ASIDE[0])
    claimed, woken = claim(parked, Released(1, 1, "r1"), "a", "")
    assert isinstance(woken, RunWoken)
    taken = after(*BEGUN, wanted(), PUT_ASIDE[0], claimed, woken)
    assert claim(taken, Released(1, 1, "r2"), "b", "") == [], "a copy, put when the first was forgotten"
    assert claim(taken, Released(1, 1, "r1"), "b", "") == [RunClaimed(attempt=1, owner="b")], "its carrier died"
    assert claim(taken, Released(1, 0), "b", "") == []


def test_a_program_that_was_kept_goes_on_in_its_own_sitting() -> None:
    kept = after(*BEGUN, PAUSED, RunParked(attempt=1, sitting=1, why=Wait.PAUSED, kept=True))
    assert next_step(kept) is Step.NOTHING
    _, woken = claim(kept, Released(1, 1, "r1"), "a", "")
    assert woken == RunWoken(attempt=1, sitting=1, release="r1")
    again = evolve(kept, woken, NOW)
    assert again is not None
    assert (again.sitting, again.parked) == (1, None)


def test_an_interrupted_run_rests_until_it_goes_on() -> None:
    run = after(*BEGUN, AgentInterrupted(attempt=1, sitting=1, wish="w1", by="ann"), PAUSED)
    assert (run.resting, run.interrupts) == (True, frozenset({"w1"}))
    goes = evolve(run, GOES_ON, NOW)
    assert goes is not None
    assert (goes.resting, goes.interrupts) == (False, frozenset({"w1"}))
