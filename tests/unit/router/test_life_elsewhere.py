"""Tasks whose agents call home: they begin and end as those say, are stopped as ours are, and nobody else reports on them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.router.tasks import CANCEL, NOW, report, when
from trunkline.contracts.errors import Conflict
from trunkline.contracts.message import Fact
from trunkline.contracts.task import (
    Assignment,
    CancelCause,
    Executor,
    Hold,
    Reported,
    StopCause,
    TaskAssigned,
    TaskCancelled,
    TaskFailed,
    TaskHeld,
    TaskHoldDropped,
    TaskStarted,
    TaskStopRequested,
    TaskSubmitted,
    TaskSucceeded,
)
from trunkline_router.model import DeadlineReached, InstanceBegan, InstanceOver, StopOverdue

DUE = NOW + timedelta(days=7)
ASSIGNED = TaskAssigned(pool="github", attempt=1)
BEGAN = TaskStarted(attempt=1)
STOP = TaskStopRequested(cause=StopCause.CANCELLED, by="ann", reason="changed my mind")
CANCELLED = TaskCancelled(by="ann", reason="changed my mind")
HELD = TaskHeld(hold=Hold(digest="d", reasons=("It is critical.",)), subject="Begin.", requested_by="ann")


def task(executor: Executor) -> list[Fact]:
    assignment = Assignment(repo="acme/calc", prompt="Fix it.", executor=executor)
    return [TaskSubmitted(assignment=assignment, submitted_by="ann", deadline_at=DUE), ASSIGNED]


WORKFLOW, CALLBACK = task(Executor.GITHUB_WORKFLOW), task(Executor.CALLBACK)
EITHER = pytest.mark.parametrize("given", [WORKFLOW, CALLBACK])


@EITHER
def test_it_begins_once_when_its_agent_calls(given: list[Fact]) -> None:
    assert when(InstanceBegan(1), *given) == [BEGAN]
    assert when(InstanceBegan(1), *given, BEGAN) == []
    assert when(InstanceBegan(2), *given) == []


def test_what_is_held_does_not_begin() -> None:
    assert when(InstanceBegan(1), *WORKFLOW, HELD) == []


@EITHER
def test_it_ends_as_its_agent_says(given: list[Fact]) -> None:
    assert when(InstanceOver(1, ok=True), *given, BEGAN) == [TaskSucceeded()]
    failed = TaskFailed(code="AGENT_FAILED", error="no tests")
    assert when(InstanceOver(1, code="AGENT_FAILED", error="no tests"), *given, BEGAN) == [failed]
    (killed,) = when(InstanceOver(1, killed_by="instance:t1"), *given, BEGAN)
    assert isinstance(killed, TaskCancelled) and (killed.by, killed.cause) == ("instance:t1", CancelCause.WISH)


@EITHER
@pytest.mark.parametrize("end", [TaskSucceeded(), TaskFailed(code="X", error="x"), CANCELLED])
def test_what_is_over_stays_as_it_ended(given: list[Fact], end: Fact) -> None:
    for late in (InstanceBegan(1), InstanceOver(1, ok=True), InstanceOver(1, killed_by="ann"), DeadlineReached(), StopOverdue()):
        assert when(late, *given, BEGAN, end) == []


def test_a_workflow_is_asked_to_stop_first() -> None:
    assert when(CANCEL, *WORKFLOW, BEGAN) == [STOP]
    assert when(InstanceOver(1, stopped=True), *WORKFLOW, BEGAN, STOP) == [CANCELLED]
    assert when(InstanceOver(1, code="WORKFLOW_FAILED", error="cancelled"), *WORKFLOW, BEGAN, STOP) == [CANCELLED]
    assert when(InstanceOver(1, killed_by="instance:t1"), *WORKFLOW, BEGAN, STOP) == [CANCELLED]
    assert when(StopOverdue(), *WORKFLOW, BEGAN, STOP) == [CANCELLED]


def test_a_workflow_that_was_done_before_it_stopped_is_done() -> None:
    assert when(InstanceOver(1, ok=True), *WORKFLOW, BEGAN, STOP) == [TaskSucceeded()]


def test_that_something_stopped_which_nobody_asked_to_ends_nothing() -> None:
    assert when(InstanceOver(1, stopped=True), *WORKFLOW, BEGAN) == []


def test_an_agent_that_registered_itself_can_be_told_nothing_and_is_cancelled_at_once() -> None:
    assert when(CANCEL, *CALLBACK, BEGAN) == [CANCELLED]


def test_what_is_held_is_cancelled_at_once() -> None:
    assert when(CANCEL, *WORKFLOW, HELD) == [TaskHoldDropped(approval_id="release"), CANCELLED]


def test_one_that_is_late_fails_and_a_workflow_is_stopped_before() -> None:
    late = DUE + timedelta(seconds=1)
    (failed,) = when(DeadlineReached(), *CALLBACK, BEGAN, at=late)
    assert isinstance(failed, TaskFailed) and failed.code == "DEADLINE"
    (stop,) = when(DeadlineReached(), *WORKFLOW, BEGAN, at=late)
    assert isinstance(stop, TaskStopRequested) and stop.cause is StopCause.DEADLINE
    (ended,) = when(InstanceOver(1, stopped=True), *WORKFLOW, BEGAN, stop)
    assert isinstance(ended, TaskFailed) and ended.code == "DEADLINE"


@EITHER
@pytest.mark.parametrize("reported", list(Reported))
def test_nobody_reports_on_it_beside_its_agent(given: list[Fact], reported: Reported) -> None:
    with pytest.raises(Conflict) as refusal:
        when(report(reported), *given, BEGAN)
    assert refusal.value.code == "NOT_YOURS"
