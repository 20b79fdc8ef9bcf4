"""A run that waits for people: its deadline stands still, and whatever is heard late, twice or out of order changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from tests.each import each
from tests.unit.router.tasks import NOW, RULES
from tests.unit.router.test_task_life import ASSIGNED, CANCEL, DUE, GONE, RESULT, RETRY, STARTED, STOP, SUBMITTED, SUCCEEDED
from trunkline.contracts.message import Fact
from trunkline.contracts.task import (
    Assignment,
    StopCause,
    TaskAssigned,
    TaskCancelled,
    TaskGoesOn,
    TaskStopRequested,
    TaskSubmitted,
    TaskWaits,
)
from trunkline_router.model import (
    Cue,
    DeadlineReached,
    RetryDue,
    RunEnded,
    RunGoing,
    RunWaiting,
    RunWasStopped,
    StopOverdue,
    Task,
    decide,
    evolve,
    too_early,
)

BEGUN = (SUBMITTED, ASSIGNED, STARTED)
ASKS = RunWaiting(1, "tool_call", 10, "call-1")
GOES = RunGoing(1, 20)
WAITS = TaskWaits(why="tool_call", approval_id="call-1", heard=10)
HOUR = timedelta(hours=1)
SOON = NOW + timedelta(seconds=10)


def folded(*story: tuple[Fact, datetime]) -> Task | None:
    task: Task | None = None
    for fact, at in story:
        task = evolve(task, fact, at)
    return task


def told(cues: list[tuple[Cue, datetime]], *given: Fact) -> tuple[Task, list[Fact]]:
    """The task after these cues, one after the other, and the facts that followed."""
    task, found = folded(*((fact, NOW) for fact in given)), list[Fact]()
    for cue, at in cues:
        facts = decide(task, cue, at, RULES)
        for fact in facts:
            task = evolve(task, fact, at)
        found += facts
    assert task
    return task, found


def test_a_wait_moves_the_deadline_by_the_time_between() -> None:
    _, facts = told([(ASKS, SOON), (GOES, SOON + HOUR)], *BEGUN)
    assert facts == [WAITS, TaskGoesOn(deadline_at=DUE + HOUR, heard=20)]


def test_several_questions_at_once_are_one_wait() -> None:
    second = RunWaiting(1, "budget", 15, "budget-1")
    _, facts = told([(ASKS, SOON), (second, SOON + HOUR), (GOES, SOON + 2 * HOUR)], *BEGUN)
    assert facts == [WAITS, TaskGoesOn(deadline_at=DUE + 2 * HOUR, heard=20)]


def test_every_wait_moves_it_again() -> None:
    later: list[tuple[Cue, datetime]] = [(RunWaiting(1, "push", 30), SOON + 3 * HOUR), (RunGoing(1, 40), SOON + 5 * HOUR)]
    task, _ = told([(ASKS, SOON), (GOES, SOON + HOUR), *later], *BEGUN)
    assert task.deadline_at == DUE + 3 * HOUR


def test_a_deadline_that_fires_while_people_think_does_nothing_and_one_that_comes_after_the_moved_one_ends_the_task() -> None:
    waiting: list[tuple[Cue, datetime]] = [(ASKS, SOON)]
    _, facts = told([*waiting, (DeadlineReached(), DUE), (DeadlineReached(), DUE + HOUR)], *BEGUN)
    assert facts == [WAITS]
    moved: list[tuple[Cue, datetime]] = [*waiting, (GOES, SOON + HOUR)]
    _, facts = told([*moved, (DeadlineReached(), DUE), (DeadlineReached(), DUE + HOUR - timedelta(seconds=1))], *BEGUN)
    assert len(facts) == 2
    _, facts = told([*moved, (DeadlineReached(), DUE + HOUR)], *BEGUN)
    assert isinstance(facts[-1], TaskStopRequested) and facts[-1].cause is StopCause.DEADLINE


def test_an_old_alarm_does_nothing_and_one_that_is_a_millisecond_early_counts() -> None:
    task = folded(*((fact, NOW) for fact in BEGUN))
    assert task
    assert too_early(task, DUE - timedelta(milliseconds=21))
    assert not too_early(task, DUE - timedelta(milliseconds=1))
    assert decide(task, DeadlineReached(), NOW, RULES) == []


@each("order", list(permutations(range(4))))
def test_news_that_is_heard_again_or_out_of_order_never_leaves_the_deadline_standing_still(order: tuple[int, ...]) -> None:
    """The newest word counts: when it was heard, whatever comes later by the bus is old."""
    news: list[tuple[Cue, datetime]] = [(ASKS, SOON), (GOES, SOON + HOUR), (RunWaiting(1, "push", 30), SOON + 2 * HOUR)]
    news.append((RunGoing(1, 40), SOON + 3 * HOUR))
    in_order, _ = told(news, *BEGUN)
    again, facts = told([*news, *(news[number] for number in order)], *BEGUN)
    assert again == in_order
    assert len(facts) == 4


def test_clocks_that_differ_never_make_a_deadline_earlier() -> None:
    task, facts = told([(ASKS, SOON), (GOES, SOON - HOUR)], *BEGUN)
    assert len(facts) == 2
    assert task.deadline_at == DUE


def test_a_deadline_at_the_end_of_the_calendar_stays_there() -> None:
    far = datetime.max.replace(tzinfo=UTC)
    submitted = TaskSubmitted(assignment=Assignment(repo="acme/calc"), submitted_by="ann", deadline_at=far)
    task, _ = told([(ASKS, SOON), (GOES, SOON + HOUR)], submitted, ASSIGNED, STARTED)
    assert task.deadline_at == far


def test_a_run_that_dies_while_it_waits_is_tried_again_with_the_time_that_was_left() -> None:
    task, facts = told([(ASKS, NOW), (GONE, NOW + HOUR)], *BEGUN)
    moved, retry = facts[1:]
    assert moved == TaskGoesOn(deadline_at=DUE + HOUR)
    assert retry.model_dump()["attempt"] == 2
    assert task.waits_since is None
    _, facts = told([(RetryDue(2), NOW + HOUR), (DeadlineReached(), DUE + HOUR)], *BEGUN, WAITS, TaskGoesOn(deadline_at=DUE + HOUR), RETRY)
    assert [type(fact).__name__ for fact in facts] == ["TaskAssigned", "TaskStopRequested"]


def test_what_an_attempt_that_is_over_said_of_waiting_is_no_news() -> None:
    again = (*BEGUN, RETRY, TaskAssigned(pool="dev", attempt=2))
    assert told([(ASKS, SOON), (GOES, SOON)], *again)[1] == []
    assert told([(ASKS, SOON), (GOES, SOON)], *BEGUN, RETRY)[1] == []


def test_the_last_attempt_that_dies_while_it_waits_ends_the_task() -> None:
    hopeless = RunEnded(attempt=1, code="NO_CHANGES", error="nothing")
    _, facts = told([(ASKS, NOW), (hopeless, NOW + HOUR)], *BEGUN)
    assert [type(fact).__name__ for fact in facts] == ["TaskWaits", "TaskFailed"]


@pytest.mark.parametrize("word", [RunWasStopped(1), StopOverdue(), GONE], ids=lambda word: type(word).__name__)
def test_a_task_is_cancelled_while_its_run_waits(word: Cue) -> None:
    _, facts = told([(ASKS, NOW), (CANCEL, NOW + HOUR), (GOES, NOW + HOUR), (word, NOW + HOUR)], *BEGUN)
    assert facts == [WAITS, STOP, TaskCancelled(by="ann", reason="changed my mind")]


def test_a_run_that_succeeds_though_it_was_thought_to_wait_succeeds() -> None:
    assert told([(ASKS, NOW), (RunEnded(1, result=RESULT), NOW)], *BEGUN)[1] == [WAITS, SUCCEEDED]


def test_nothing_is_waited_for_after_the_end() -> None:
    assert told([(ASKS, NOW), (GOES, NOW)], *BEGUN, SUCCEEDED)[1] == []
