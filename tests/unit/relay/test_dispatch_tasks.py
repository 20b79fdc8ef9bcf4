"""What a task's own timeline means for the workflow that is started for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from trunkline.contracts.message import Fact
from trunkline.contracts.task import (
    Assignment,
    Executor,
    Hold,
    StopCause,
    TaskAssigned,
    TaskCancelled,
    TaskFailed,
    TaskHeld,
    TaskReleased,
    TaskStopRequested,
    TaskSubmitted,
    TaskSucceeded,
)
from trunkline_relay.model.home_task import home_task

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ASSIGNED = TaskAssigned(pool="github", attempt=1)
HELD = TaskHeld(hold=Hold(digest="d", reasons=("because",)), subject="may it", requested_by="ann")
RELEASED = TaskReleased(approval_id="release", by="bob", deadline_at=NOON + timedelta(hours=9))
STOP = TaskStopRequested(cause=StopCause.CANCELLED, by="ann", reason="enough")


def submitted(executor: Executor = Executor.GITHUB_WORKFLOW) -> TaskSubmitted:
    asked = Assignment(prompt="p", source="omnara", repo="acme/shop", executor=executor)
    return TaskSubmitted(assignment=asked, submitted_by="ann", deadline_at=NOON)


def at_noon(*facts: Fact) -> list[tuple[Fact, datetime]]:
    return [(fact, NOON) for fact in facts]


@pytest.mark.parametrize(
    ("facts", "begins", "unwanted"),
    [
        ((), False, False),
        ((ASSIGNED,), True, False),
        ((ASSIGNED, HELD), False, False),
        ((ASSIGNED, HELD, RELEASED), True, False),
        ((ASSIGNED, STOP), False, True),
        ((ASSIGNED, TaskSucceeded()), False, False),
        ((ASSIGNED, TaskFailed(code="X", error="x")), False, True),
        ((ASSIGNED, HELD, TaskCancelled(by="ann", reason="no")), False, True),
    ],
)
def test_when_a_workflow_is_started_and_when_nobody_wants_it(facts: tuple[Fact, ...], begins: bool, unwanted: bool) -> None:
    task = home_task(at_noon(submitted(), *facts))
    assert task is not None
    assert (task.to_start, task.unwanted) == (begins, unwanted)


@pytest.mark.parametrize("executor", [Executor.SANDBOX, Executor.BUS, Executor.CALLBACK])
def test_tasks_of_others_start_no_workflow(executor: Executor) -> None:
    task = home_task(at_noon(submitted(executor), ASSIGNED))
    assert task is not None and not task.to_start


def test_a_release_moves_the_deadline_by_which_the_key_ends() -> None:
    task = home_task(at_noon(submitted(), ASSIGNED, HELD, RELEASED))
    assert task is not None and task.deadline_at == RELEASED.deadline_at
    assert home_task(at_noon(ASSIGNED)) is None


@pytest.mark.parametrize(
    ("end", "left"),
    [
        (TaskFailed(code="AGENT_FAILED", error="x"), True),
        (TaskCancelled(by="instance:0199f2f0c0de7abc8def0123456789ab", reason="killed"), True),
        (TaskFailed(code="INSTANCE_LOST", error="x"), False),
        (TaskCancelled(by="ann", reason="enough"), False),
        (TaskSucceeded(), False),
    ],
)
def test_a_run_whose_agent_gave_up_itself_is_about_to_end(end: Fact, left: bool) -> None:
    task = home_task(at_noon(submitted(), ASSIGNED, end))
    assert task is not None and task.left_at == (NOON if left else None)
