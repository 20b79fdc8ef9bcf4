"""What comes next for a dispatch, asked at every moment of its life; and which of GitHub's runs is its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.each import each
from tests.unit.relay.test_dispatch_model import KEY, NAME, run
from trunkline.contracts.dispatch import COMPLETED, Outcome, SeenBy, WorkflowRun
from trunkline.contracts.task import Assignment, Executor, TaskStatus
from trunkline_relay.model.dispatch import Dispatch, Hint
from trunkline_relay.model.dispatch_steps import Cancel, Look, Rest, Revoke, Scene, Send, Step, Stop, Terms, Wait, next_step, rarely
from trunkline_relay.model.dispatch_trying import PAUSES, Answered, again_at, cancel_again_at
from trunkline_relay.model.home_task import HomeTask
from trunkline_relay.model.run_matching import Found, Listed, Others, Sought, judge, match

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TERMS = Terms(timedelta(seconds=900), timedelta(seconds=1800), timedelta(days=6))
ASKED = Assignment(prompt="p", source="omnara", repo="acme/shop", executor=Executor.GITHUB_WORKFLOW)
TASK = HomeTask(ASKED, NOON + timedelta(hours=1), attempt=1)
WANTED = Dispatch(1, "acme/shop", "omnara_trigger", "main", "general", None, KEY, NOON)
ACCEPTED = WANTED._replace(tries=1, outcome=Outcome.ACCEPTED, tried_at=NOON, accepted_at=NOON)
QUEUED = ACCEPTED._replace(run=run())
AT_WORK = ACCEPTED._replace(run=run(status="in_progress"), began_at=NOON)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def step(dispatch: Dispatch, seconds: float = 1, *, task: HomeTask = TASK, called: bool = False, **of_github: Any) -> Step:
    return next_step(Scene(dispatch, task, called, at(seconds), **of_github), TERMS)


def tried(outcome: Outcome, tries: int = 1, again: float | None = None) -> Dispatch:
    return WANTED._replace(tries=tries, outcome=outcome, tried_at=NOON, again_at=None if again is None else at(again))


STOPPED = TASK._replace(stop=True)
FAILED = TASK._replace(end=TaskStatus.FAILED)
SUCCEEDED = TASK._replace(end=TaskStatus.SUCCEEDED)
REVOKED: dict[str, Any] = {"revoked": True}


@each(
    ("dispatch", "seconds", "wanted"),
    [
        (WANTED, 1, Send(1)),
        (tried(Outcome.REQUEST_FAILED, again=30), 1, Wait(at(30))),
        (tried(Outcome.CONNECTION_ERROR, again=30), 31, Send(2)),
        (tried(Outcome.CONNECTION_ERROR, 5, again=1), 2, Send(6)),
        (tried(Outcome.TIMEOUT, again=20), 1, Wait(at(20))),
        (tried(Outcome.TIMEOUT, again=20), 21, Look(doubted=True)),
        (tried(Outcome.BEGUN), 5, Look(doubted=True)),
        (ACCEPTED, 899, Look()),
        (ACCEPTED, 901, Look(now=True)),
        (QUEUED, 899, Look()),
        (AT_WORK, 901, Look()),
        (AT_WORK, 1801, Look(now=True)),
        (ACCEPTED._replace(run=run(status=COMPLETED)), 1, Rest()),
        (ACCEPTED._replace(given_up="RUN_NOT_STARTED"), 1, Rest()),
    ],
)
def test_while_its_task_is_open(dispatch: Dispatch, seconds: float, wanted: Step) -> None:
    assert step(dispatch, seconds) == wanted


@pytest.mark.parametrize(
    ("dispatch", "seconds", "code"),
    [
        (tried(Outcome.REQUEST_FAILED), 1, "DISPATCH_REFUSED"),
        (tried(Outcome.CONNECTION_ERROR, 6, again=1), 2, "DISPATCH_NOT_SENT"),
        (tried(Outcome.TIMEOUT, again=20), 901, "RUN_NOT_STARTED"),
        (ACCEPTED, 901, "RUN_NOT_STARTED"),
        (QUEUED, 901, "RUN_NOT_STARTED"),
        (AT_WORK, 1801, "RUN_NEVER_CALLED"),
    ],
)
def test_what_never_comes_to_anything_is_given_up_once_github_was_asked(dispatch: Dispatch, seconds: float, code: str) -> None:
    given_up = step(dispatch, seconds, looked=True)
    assert isinstance(given_up, Stop) and given_up.code == code


@pytest.mark.parametrize(
    ("dispatch", "seconds"), [(tried(Outcome.TIMEOUT, again=20), 1800), (ACCEPTED, 1800), (QUEUED, 1800), (AT_WORK, 3600)]
)
@pytest.mark.parametrize("task", [TASK, STOPPED])
def test_a_github_that_does_not_say_is_waited_for_as_long_again_and_no_longer(dispatch: Dispatch, seconds: float, task: HomeTask) -> None:
    if task is TASK or dispatch.run is None:
        assert isinstance(step(dispatch, seconds - 1, task=task, blind=True), Look)
        assert isinstance(step(dispatch, seconds + 1, task=task, blind=True), Stop)


GAVE_UP = FAILED._replace(left_at=NOON)


def test_a_run_whose_agent_gave_up_may_end_by_itself_and_is_looked_at_before_it_is_cancelled() -> None:
    over = AT_WORK._replace(revoked=True)
    assert step(over, 29, task=GAVE_UP, called=True) == Wait(at(30))
    assert step(over, 31, task=GAVE_UP, called=True) == Look(now=True)
    assert step(over, 31, task=GAVE_UP, called=True, looked=True) == Cancel(1)
    assert step(over, 31, task=GAVE_UP, called=True, blind=True) == Cancel(1)
    assert step(over, 1, task=GAVE_UP._replace(stop=True), called=True) == Cancel(1)


@pytest.mark.parametrize("dispatch", [tried(Outcome.TIMEOUT, again=20), ACCEPTED, QUEUED, AT_WORK])
def test_an_agent_that_called_is_waited_for(dispatch: Dispatch) -> None:
    assert isinstance(step(dispatch, 5000, called=True, looked=True), Look)


def test_nobody_follows_a_run_for_ever() -> None:
    week = 7 * 86_400
    assert step(AT_WORK, week, called=True) == step(ACCEPTED, week, called=True) == Rest()


@each(
    ("dispatch", "task", "wanted"),
    [
        (QUEUED, STOPPED, Cancel(1)),
        (AT_WORK, FAILED, Cancel(1)),
        (AT_WORK, SUCCEEDED, Look()),
        (AT_WORK._replace(given_up="RUN_NEVER_CALLED"), TASK, Cancel(1)),
        (AT_WORK._replace(cancels=1, cancel_again_at=at(30)), STOPPED, Wait(at(30))),
        (AT_WORK._replace(cancels=1, cancel_again_at=at(1)), STOPPED, Cancel(2)),
        (AT_WORK._replace(cancels=2), STOPPED, Look()),
        (AT_WORK._replace(cancels=1, cancelled=True), STOPPED, Look()),
        (ACCEPTED, STOPPED, Look()),
        (tried(Outcome.TIMEOUT, again=0), STOPPED, Look(doubted=True)),
    ],
)
def test_when_its_work_is_not_wanted_any_more(dispatch: Dispatch, task: HomeTask, wanted: Step) -> None:
    assert step(dispatch._replace(revoked=True), 2, task=task) == wanted


@pytest.mark.parametrize("dispatch", [WANTED, tried(Outcome.CONNECTION_ERROR, again=30)])
@pytest.mark.parametrize("task", [STOPPED, FAILED, SUCCEEDED])
def test_what_was_not_sent_is_withdrawn(dispatch: Dispatch, task: HomeTask) -> None:
    withdrawn = step(dispatch._replace(revoked=True), task=task)
    assert isinstance(withdrawn, Stop) and withdrawn.code == "WITHDRAWN"


@pytest.mark.parametrize("dispatch", [WANTED, ACCEPTED, QUEUED, AT_WORK, ACCEPTED._replace(given_up="X")])
def test_the_key_goes_first_whatever_else_is_to_be_done(dispatch: Dispatch) -> None:
    for over in (FAILED, SUCCEEDED, TASK._replace(end=TaskStatus.CANCELLED)):
        assert step(dispatch, task=over) == Revoke()


def test_looks_are_far_between_where_github_tells_by_itself_or_nobody_waits() -> None:
    assert not rarely(Scene(QUEUED, TASK, False, NOON), 99)
    assert rarely(Scene(QUEUED._replace(how=SeenBy.WEBHOOK), TASK, False, NOON), 0)
    assert [rarely(Scene(AT_WORK, SUCCEEDED, True, NOON), look) for look in (0, 4, 5)] == [False, False, True]
    assert [PAUSES.before_look(look, 0.5, rare=False).total_seconds() for look in range(7)] == [5, 10, 20, 30, 60, 60, 60]


@pytest.mark.parametrize(
    ("answered", "number", "wait"),
    [
        (Answered(Outcome.ACCEPTED, 204), 1, None),
        (Answered(Outcome.CONNECTION_ERROR), 1, 2),
        (Answered(Outcome.CONNECTION_ERROR), 5, 120),
        (Answered(Outcome.REQUEST_FAILED, 429, limited=True, retry_after=77), 1, 77),
        (Answered(Outcome.REQUEST_FAILED, 403, limited=True, retry_after=1), 3, 30),
        (Answered(Outcome.REQUEST_FAILED, 403), 1, None),
        (Answered(Outcome.TIMEOUT), 1, 20),
        (Answered(Outcome.ERROR, 503, limited=True, retry_after=90), 1, 90),
    ],
)
def test_when_it_is_asked_again(answered: Answered, number: int, wait: float | None) -> None:
    assert again_at(answered, number, NOON, PAUSES, 0.5) == (None if wait is None else at(wait))


def test_cancelling_is_tried_six_times_and_a_refusal_ends_it() -> None:
    again = [cancel_again_at(Answered(Outcome.ERROR, 500), number, NOON, PAUSES, 0.5) for number in range(1, 7)]
    assert again == [at(2), at(10), at(30), at(60), at(120), None]
    assert cancel_again_at(Answered(Outcome.REQUEST_FAILED, 404), 1, NOON, PAUSES, 0.5) is None


@each(
    ("dispatch", "task", "asked", "then"),
    [
        (ACCEPTED, TASK, Look(now=True), Look()),
        (tried(Outcome.ERROR, again=20), TASK, Look(doubted=True, now=True), Wait(at(20))),
        (tried(Outcome.CONNECTION_ERROR, again=0), TASK, Look(now=True), Look()),
        (ACCEPTED._replace(given_up="RUN_NOT_STARTED"), TASK, Look(now=True), Look()),
        (AT_WORK, STOPPED, Look(now=True), Cancel(1)),
    ],
)
def test_what_was_told_of_a_run_is_asked_of_github_before_anything_is_done(
    dispatch: Dispatch, task: HomeTask, asked: Step, then: Step
) -> None:
    told = dispatch._replace(told=Hint(7, 1, NOON))
    assert step(told, task=task) == asked
    assert step(told, task=task, looked=True) == then


def test_what_is_due_is_not_given_up_on_by_a_look_from_before_it_was_due() -> None:
    early, late = (Scene(tried(Outcome.ERROR, again=0), TASK, False, at(901), looked=True, asked_at=at(moment)) for moment in (899, 900))
    assert isinstance(next_step(early, TERMS), Look)
    assert isinstance(next_step(late, TERMS), Stop)


SOUGHT = Sought(NAME, "omnara_trigger", NOON)
NAMED = f"omnara {NAME}"


def made(number: int, title: str, status: str = "queued", seconds: float = 1) -> WorkflowRun:
    return WorkflowRun(run_id=number, status=status, title=title, created_at=at(seconds))


@each(
    ("runs", "others", "called", "found"),
    [
        ([], Others(), False, None),
        ([made(1, "omnara_trigger"), made(2, NAMED.upper())], Others(), False, 2),
        ([made(3, NAMED), made(2, NAMED, COMPLETED)], Others(), False, 3),
        ([made(1, "omnara_trigger")], Others(), False, 1),
        ([made(1, "omnara_trigger"), made(2, "deploy")], Others(), False, 1),
        ([made(1, "omnara_trigger"), made(2, "omnara_trigger")], Others(), False, None),
        ([made(1, "omnara_trigger", seconds=-60)], Others(), False, None),
        ([made(1, "omnara ffffffff-1547-7676-b883-dd25f2dda5a4")], Others(), False, None),
        ([made(1, "omnara_trigger"), made(2, "omnara_trigger")], Others({1}), False, 2),
        ([made(1, "omnara_trigger")], Others(waiting=1), False, None),
        ([made(1, "x", "in_progress"), made(2, "x")], Others(waiting=1), True, 1),
        ([made(1, "x", "in_progress"), made(2, "x", "in_progress")], Others(waiting=1), True, None),
        ([made(1, "x", "in_progress")], Others(waiting=1, called=1), True, None),
    ],
)
def test_which_run_is_the_one(runs: list[WorkflowRun], others: Others, called: bool, found: int | None) -> None:
    known = match(Sought(NAME, "omnara_trigger", NOON, called), runs, others)
    assert (known.run.run_id if isinstance(known, Found) else None) == found


FOREIGN = "omnara ffffffff-1547-7676-b883-dd25f2dda5a4"
AT = "in_progress"


@each(
    ("run", "listed", "others", "believed"),
    [
        (made(1, NAMED, AT), Listed([], whole=False), Others(waiting=3), True),
        (made(1, NAMED, AT, seconds=-121), Listed([]), Others(), False),
        (made(1, FOREIGN, AT), Listed([]), Others(), False),
        (made(1, NAMED, AT), Listed([]), Others({1}), False),
        (made(1, "omnara_trigger", AT), Listed([]), Others(), True),
        (made(1, "omnara_trigger", AT), Listed([made(1, "omnara_trigger", AT), made(2, "omnara_trigger", AT)]), Others(), True),
        (made(1, "omnara_trigger", AT), Listed([], whole=False), Others(), None),
        (made(1, "omnara_trigger", AT), Listed([]), Others(waiting=1), None),
        (made(1, "omnara_trigger"), Listed([]), Others(), None),
        (made(1, "omnara_trigger", AT, seconds=-11), Listed([]), Others(), False),
        (made(1, "Deploy", AT), Listed([made(2, "omnara_trigger")]), Others(), False),
        (made(1, "Deploy", AT), Listed([made(2, "Release")]), Others(), None),
        (made(1, "Deploy", AT), Listed([made(2, NAMED)]), Others(), False),
        (made(1, "omnara_trigger", AT), Listed([made(2, NAMED, AT)]), Others(), False),
        (made(1, "Agents at work", AT), Listed([made(2, FOREIGN), made(3, "Deploy")]), Others({3}), True),
        (WorkflowRun(run_id=1, status=AT, title=NAMED), Listed([]), Others(), False),
    ],
)
def test_which_run_is_believed_to_be_the_one_that_somebody_names(
    run: WorkflowRun, listed: Listed, others: Others, believed: bool | None
) -> None:
    verdict = judge(SOUGHT, run, listed, others)
    assert (None if verdict is None else not verdict.why) == believed
