"""The life of a task, told as given facts, when something happens, then these facts follow."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from trunkline.contracts.errors import Conflict, NotFound
from trunkline.contracts.message import Fact
from trunkline.contracts.run import SANDBOX_LOST, RunResult
from trunkline.contracts.task import (
    Assignment,
    CancelTask,
    StopCause,
    SubmitTask,
    TaskAssigned,
    TaskCancelled,
    TaskFailed,
    TaskRetryScheduled,
    TaskStarted,
    TaskStopRequested,
    TaskSubmitted,
    TaskSucceeded,
)
from trunkline_router.model import (
    Cue,
    DeadlineReached,
    RetryDue,
    RunBegan,
    RunEnded,
    RunWasStopped,
    StopOverdue,
    Task,
    decide,
    evolve,
)
from trunkline_router.model.reports import MOST_LOST
from trunkline_router.settings import Settings
from trunkline_router.wiring import rules_of

RULES = rules_of(Settings.model_validate({}))
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ASKED = Assignment(repo="acme/calc", prompt="fix it", deadline_s=60, max_retries=1)
SUBMIT = SubmitTask(tenant="public", at=NOW, task_id="t1", assignment=ASKED, submitted_by="ann")
CANCEL = CancelTask(tenant="public", at=NOW, task_id="t1", by="ann", reason="changed my mind")
SUBMITTED = TaskSubmitted(assignment=ASKED, submitted_by="ann", deadline_at=NOW + timedelta(seconds=60))
DUE = SUBMITTED.deadline_at
ASSIGNED = TaskAssigned(pool="dev", attempt=1)
STARTED = TaskStarted(attempt=1)
STOP = TaskStopRequested(cause=StopCause.CANCELLED, by="ann", reason="changed my mind")
RESULT = RunResult(
    branch="b", base="main", commit="c0ffee", pull_request=1, pull_request_url="u", files_changed=1, additions=1, deletions=0,
    sandbox_id="t1-1", sandbox_seconds=1.0,
)  # fmt: skip
SUCCEEDED = TaskSucceeded(result=RESULT)
RETRY = TaskRetryScheduled(attempt=2, due_at=NOW + timedelta(seconds=2), code="AGENT_LOST", reason="gone")
GONE = RunEnded(attempt=1, code="AGENT_LOST", error="gone", recoverable=True)


def after(*facts: Fact) -> Task | None:
    task: Task | None = None
    for fact in facts:
        task = evolve(task, fact, NOW)
    return task


def when(cue: Cue, *given: Fact, at: datetime = NOW) -> list[Fact]:
    return decide(after(*given), cue, at, RULES)


def test_a_submitted_task_is_assigned_in_the_same_decision() -> None:
    assert when(SUBMIT) == [SUBMITTED, ASSIGNED]


def test_submitting_again_changes_nothing() -> None:
    assert when(SUBMIT, SUBMITTED, ASSIGNED, STARTED) == []


def test_a_claimed_run_starts_the_task_once() -> None:
    assert when(RunBegan(1), SUBMITTED, ASSIGNED) == [STARTED]
    assert when(RunBegan(1), SUBMITTED, ASSIGNED, STARTED) == []


def test_news_of_an_older_attempt_is_no_news() -> None:
    given = (SUBMITTED, ASSIGNED, STARTED, RETRY, TaskAssigned(pool="dev", attempt=2))
    assert when(RunBegan(1), *given) == []
    assert when(GONE, *given) == []
    assert when(RunEnded(attempt=1, result=RESULT), *given) == []


def test_a_run_that_succeeded_ends_the_task() -> None:
    assert when(RunEnded(attempt=1, result=RESULT), SUBMITTED, ASSIGNED, STARTED) == [SUCCEEDED]


def test_a_run_that_ends_before_its_beginning_was_heard_ends_the_task_all_the_same() -> None:
    assert when(RunEnded(attempt=1, result=RESULT), SUBMITTED, ASSIGNED) == [SUCCEEDED]


def test_a_recoverable_failure_is_tried_again_after_a_pause() -> None:
    assert when(GONE, SUBMITTED, ASSIGNED, STARTED) == [RETRY]
    assert when(RetryDue(2), SUBMITTED, ASSIGNED, STARTED, RETRY) == [TaskAssigned(pool="dev", attempt=2)]


def test_a_failure_that_is_heard_again_between_two_attempts_leads_to_no_second_retry() -> None:
    assert when(GONE, SUBMITTED, ASSIGNED, STARTED, RETRY) == []


def test_retries_end() -> None:
    given = (SUBMITTED, ASSIGNED, STARTED, RETRY, TaskAssigned(pool="dev", attempt=2))
    again = RunEnded(attempt=2, code="AGENT_LOST", error="gone", recoverable=True)
    assert when(again, *given) == [TaskFailed(code="AGENT_LOST", error="gone")]


@pytest.mark.parametrize("retries", [0, 1])
def test_a_lost_machine_is_no_failure_of_the_tasks_unless_it_loses_one_after_the_other(retries: int) -> None:
    given: tuple[Fact, ...] = (
        SUBMITTED.model_copy(update={"assignment": ASKED.model_copy(update={"max_retries": retries})}),
        ASSIGNED,
        STARTED,
    )
    for attempt in range(1, MOST_LOST + 1):
        lost = RunEnded(attempt=attempt, code=SANDBOX_LOST, error="gone", recoverable=True)
        [again] = when(lost, *given)
        assert isinstance(again, TaskRetryScheduled)
        given = (*given, again, TaskAssigned(pool="dev", attempt=attempt + 1), TaskStarted(attempt=attempt + 1))
    last = RunEnded(attempt=MOST_LOST + 1, code="AGENT_LOST", error="gone", recoverable=True)
    for ends in (last, replace(last, code=SANDBOX_LOST)):
        assert isinstance(when(ends, *given)[0], TaskRetryScheduled if retries else TaskFailed)


def test_a_failure_that_trying_again_cannot_mend_ends_the_task() -> None:
    hopeless = RunEnded(attempt=1, code="REPO_NOT_FOUND", error="no such repository")
    assert when(hopeless, SUBMITTED, ASSIGNED, STARTED) == [TaskFailed(code="REPO_NOT_FOUND", error="no such repository")]


@pytest.mark.parametrize("given", [(SUBMITTED, ASSIGNED), (SUBMITTED, ASSIGNED, STARTED)])
def test_a_cancel_asks_the_runner_to_stop_and_waits_for_its_word(given: tuple[Fact, ...]) -> None:
    assert when(CANCEL, *given) == [STOP]
    assert when(RunWasStopped(1), *given, STOP) == [TaskCancelled(by="ann", reason="changed my mind")]


def test_a_cancel_between_two_attempts_needs_nobodys_word() -> None:
    assert when(CANCEL, SUBMITTED, ASSIGNED, STARTED, RETRY) == [TaskCancelled(by="ann", reason="changed my mind")]


def test_a_cancel_that_came_too_late_does_not_unmake_a_success() -> None:
    assert when(RunEnded(attempt=1, result=RESULT), SUBMITTED, ASSIGNED, STARTED, STOP) == [SUCCEEDED]


def test_a_run_that_failed_while_it_was_to_stop_was_stopped() -> None:
    assert when(GONE, SUBMITTED, ASSIGNED, STARTED, STOP) == [TaskCancelled(by="ann", reason="changed my mind")]


def test_a_stop_that_nobody_confirms_is_over_after_a_while() -> None:
    assert when(StopOverdue(), SUBMITTED, ASSIGNED, STOP) == [TaskCancelled(by="ann", reason="changed my mind")]
    assert when(StopOverdue(), SUBMITTED, ASSIGNED, STARTED) == []


def test_cancelling_twice_changes_nothing_and_cancelling_what_is_over_is_refused() -> None:
    assert when(CANCEL, SUBMITTED, ASSIGNED, STOP) == []
    assert when(CANCEL, SUBMITTED, ASSIGNED, STOP, TaskCancelled(by="ann", reason="")) == []
    with pytest.raises(Conflict) as refused:
        when(CANCEL, SUBMITTED, ASSIGNED, STARTED, SUCCEEDED)
    assert refused.value.code == "TASK_OVER"


def test_cancelling_what_is_not_there_is_refused() -> None:
    with pytest.raises(NotFound):
        when(CANCEL)


def test_a_task_whose_time_is_up_is_stopped_and_failed() -> None:
    [stop] = when(DeadlineReached(), SUBMITTED, ASSIGNED, STARTED, at=DUE)
    assert isinstance(stop, TaskStopRequested)
    assert stop.cause is StopCause.DEADLINE
    [failed] = when(RunWasStopped(1), SUBMITTED, ASSIGNED, STARTED, stop)
    assert isinstance(failed, TaskFailed)
    assert failed.code == "DEADLINE"


def test_a_task_whose_time_is_up_between_two_attempts_fails_at_once() -> None:
    [failed] = when(DeadlineReached(), SUBMITTED, ASSIGNED, STARTED, RETRY, at=DUE)
    assert isinstance(failed, TaskFailed)
    assert failed.code == "DEADLINE"


@pytest.mark.parametrize("cue", [RunBegan(1), GONE, RunWasStopped(1), DeadlineReached(), RetryDue(2), StopOverdue()])
def test_nothing_happens_to_a_task_that_is_over_or_unknown(cue: Cue) -> None:
    assert when(cue, SUBMITTED, ASSIGNED, STARTED, SUCCEEDED, at=DUE) == []
    assert when(cue, at=DUE) == []
