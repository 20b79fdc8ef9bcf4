"""Tasks that agents elsewhere carry out: what they may report, and what cancels, ends and repeats such a task."""

from datetime import timedelta

import pytest

from tests.unit.router.tasks import CANCEL, NOW, RULES, after, asked, report, submitted, when
from trunkline.contracts.errors import Conflict, NotFound
from trunkline.contracts.message import Fact
from trunkline.contracts.task import (
    Assignment,
    CancelCause,
    Reported,
    StopCause,
    TaskAssigned,
    TaskCancelled,
    TaskChildAdded,
    TaskFailed,
    TaskRetryScheduled,
    TaskSlaBreached,
    TaskStarted,
    TaskStatus,
    TaskStopRequested,
    TaskSubmitted,
    TaskSucceeded,
)
from trunkline_router.model import ChildSubmitted, DeadlineReached, ParentCancelled, RetryDue, RunWasStopped, SlaReached
from trunkline_router.model.reports import NO_REASON

STARTED, SUCCEEDED, FAILED = report(Reported.STARTED), report(Reported.SUCCEEDED), report(Reported.FAILED, "it broke")
FRESH = submitted(asked())
BEGAN = TaskStarted(attempt=1, by="agent-7")
LASTING = submitted(asked(max_retries=1))
BROKE = TaskFailed(code="AGENT_FAILED", error="it broke")
RETRY = TaskRetryScheduled(attempt=2, due_at=NOW + timedelta(seconds=2), code="AGENT_FAILED", reason="it broke")
SECOND = TaskAssigned(pool="dev_agent", attempt=2)
OURS = submitted(Assignment(repo="acme/calc", prompt="fix it"))


def refused(cue: object, *given: Fact) -> str:
    with pytest.raises(Conflict) as refusal:
        when(cue, *given)  # type: ignore[arg-type]  # only wishes are refused
    return refusal.value.code


def test_an_agent_begins_and_ends_its_task() -> None:
    assert when(STARTED, *FRESH) == [BEGAN]
    assert when(SUCCEEDED, *FRESH, BEGAN) == [TaskSucceeded()]
    assert when(FAILED, *FRESH, BEGAN) == [BROKE]


def test_an_end_without_a_beginning_records_the_beginning_too() -> None:
    assert when(SUCCEEDED, *FRESH) == [BEGAN, TaskSucceeded()]
    assert when(FAILED, *FRESH) == [BEGAN, BROKE]


def test_a_failure_that_is_told_without_a_reason_gets_one() -> None:
    assert when(report(Reported.FAILED, "  "), *FRESH, BEGAN) == [TaskFailed(code="AGENT_FAILED", error=NO_REASON)]


def test_saying_the_same_again_changes_nothing() -> None:
    assert when(STARTED, *FRESH, BEGAN) == []
    assert when(SUCCEEDED, *FRESH, BEGAN, TaskSucceeded()) == []
    assert when(FAILED, *FRESH, BEGAN, BROKE) == []


@pytest.mark.parametrize("end", [TaskSucceeded(), BROKE, TaskCancelled(by="ann", reason="")])
def test_nothing_else_can_be_said_of_a_task_that_is_over(end: Fact) -> None:
    stands = {TaskSucceeded: SUCCEEDED, TaskFailed: FAILED}.get(type(end))
    for other in (STARTED, SUCCEEDED, FAILED):
        if other is not stands:
            assert refused(other, *FRESH, BEGAN, end) == "ILLEGAL_MOVE"


def test_nobody_reports_on_a_task_that_trunkline_carries_out_or_that_is_not_there() -> None:
    for each in (STARTED, SUCCEEDED, FAILED):
        assert refused(each, *OURS) == "NOT_YOURS"
        with pytest.raises(NotFound):
            when(each)


def test_a_failure_is_tried_again_while_retries_are_left() -> None:
    assert when(FAILED, *LASTING, BEGAN) == [RETRY]
    assert when(RetryDue(2), *LASTING, BEGAN, RETRY) == [SECOND]
    assert when(FAILED, *LASTING, BEGAN, RETRY, SECOND, BEGAN, at=NOW) == []  # the very same report, sent again
    late = report(Reported.FAILED, "it broke", at=NOW + timedelta(seconds=9))
    assert when(late, *LASTING, BEGAN, RETRY, SECOND) == [TaskStarted(attempt=2, by="agent-7"), BROKE]


def test_what_failed_together_does_not_come_back_together() -> None:
    moments = [NOW + timedelta(microseconds=250_000 * number) for number in range(4)]
    told = [when(report(Reported.FAILED, "it broke", at=moment), *LASTING, BEGAN, at=moment) for moment in moments]
    pauses = [fact.due_at - moment for (fact,), moment in zip(told, moments, strict=True) if isinstance(fact, TaskRetryScheduled)]
    assert pauses == [timedelta(seconds=seconds) for seconds in (2.0, 2.1, 2.2, 2.3)]


def test_between_two_attempts_a_failure_is_known_and_nothing_else_can_be_said() -> None:
    waiting = (*LASTING, BEGAN, RETRY)
    assert when(FAILED, *waiting) == []
    assert refused(STARTED, *waiting) == "ILLEGAL_MOVE"
    assert refused(SUCCEEDED, *waiting) == "ILLEGAL_MOVE"
    assert when(CANCEL, *waiting) == [TaskCancelled(by="ann", reason="changed my mind")]


def test_of_a_task_for_later_nothing_can_be_said_before_its_moment_and_the_refusal_names_that() -> None:
    later = submitted(asked(start_at=NOW + timedelta(hours=2)))
    for word, reported in (("begun", STARTED), ("done", SUCCEEDED), ("failed", FAILED)):
        with pytest.raises(Conflict, match=f"start_at.*2026-01-02 05:04:05.*cannot be reported as {word} before") as refusal:
            when(reported, *later)
        assert refusal.value.code == "ILLEGAL_MOVE"


@pytest.mark.parametrize(
    ("end", "says"), [(TaskSucceeded(), "it succeeded"), (BROKE, "it failed"), (TaskCancelled(by="ann", reason=""), "it was cancelled")]
)
def test_the_refusal_of_a_report_says_how_the_task_ended(end: Fact, says: str) -> None:
    with pytest.raises(Conflict, match=f"the task is over: {says}; it cannot be reported as begun any more"):
        when(STARTED, *FRESH, BEGAN, end)


@pytest.mark.parametrize("given", [FRESH, [*FRESH, BEGAN]])
def test_a_task_of_an_agent_elsewhere_is_cancelled_at_once(given: list[Fact]) -> None:
    assert when(CANCEL, *given) == [TaskCancelled(by="ann", reason="changed my mind")]


@pytest.mark.parametrize("given", [FRESH, [*FRESH, BEGAN]])
def test_a_task_of_an_agent_elsewhere_that_is_late_fails_at_once(given: list[Fact]) -> None:
    [failed] = when(DeadlineReached(), *given, at=NOW + timedelta(days=8))
    assert isinstance(failed, TaskFailed)
    assert failed.code == "DEADLINE"


def test_agents_elsewhere_have_a_week_unless_more_was_asked_for() -> None:
    for wanted, seconds in ((3600, RULES.agent_deadline_s), (10**6, 10**6)):
        first = submitted(asked(deadline_s=wanted))[0]
        assert isinstance(first, TaskSubmitted)
        assert first.deadline_at == NOW + timedelta(seconds=seconds)


def test_a_promise_that_is_broken_is_told_once_and_stops_nothing() -> None:
    promised = submitted(asked(sla_s=3600))
    due_at = NOW + timedelta(hours=1)
    breached = TaskSlaBreached(due_at=due_at)
    assert when(SlaReached(), *promised, at=due_at) == [breached]
    assert when(SlaReached(), *promised, breached) == []
    assert when(SlaReached(), *promised, BEGAN, TaskSucceeded()) == []
    assert when(SlaReached(), *FRESH) == []
    assert when(STARTED, *promised, breached) == [BEGAN]


def test_a_parent_learns_of_each_part_once_and_not_after_its_end() -> None:
    part = TaskChildAdded(child="t2")
    assert when(ChildSubmitted("t2"), *FRESH) == [part]
    assert when(ChildSubmitted("t2"), *FRESH, part) == []
    assert when(ChildSubmitted("t2"), *FRESH, BEGAN, TaskSucceeded()) == []
    task = after(*FRESH, part, TaskChildAdded(child="t3"))
    assert task is not None
    assert task.children == ("t2", "t3")


def test_a_part_of_a_cancelled_task_is_cancelled_unless_it_is_over() -> None:
    [cancelled] = when(ParentCancelled("t0"), *FRESH, BEGAN)
    assert isinstance(cancelled, TaskCancelled)
    assert (cancelled.by, cancelled.cause) == ("trunkline", CancelCause.PARENT_CANCELLED)
    assert "t0" in cancelled.reason
    assert when(ParentCancelled("t0"), *FRESH, BEGAN, TaskSucceeded()) == []
    assert when(ParentCancelled("t0")) == []


def test_a_part_that_trunkline_carries_out_is_stopped_first_and_remembers_why() -> None:
    [stop] = when(ParentCancelled("t0"), *OURS)
    assert isinstance(stop, TaskStopRequested)
    assert stop.cause is StopCause.CANCELLED
    assert when(ParentCancelled("t0"), *OURS, stop) == []
    [cancelled] = when(RunWasStopped(1), *OURS, stop)
    assert isinstance(cancelled, TaskCancelled)
    assert cancelled.cause is CancelCause.PARENT_CANCELLED


def test_a_task_that_is_over_forgets_nothing_of_how_it_stood() -> None:
    task = after(*FRESH, BEGAN, TaskSucceeded())
    assert task is not None
    assert (task.status, task.attempt) == (TaskStatus.SUCCEEDED, 1)
