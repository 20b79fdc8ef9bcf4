"""What it means when an agent elsewhere says how its task goes, and when a failure is worth another try."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from trunkline.contracts.errors import Conflict
from trunkline.contracts.message import Fact
from trunkline.contracts.run import SANDBOX_LOST
from trunkline.contracts.task import Reported, ReportTask, TaskFailed, TaskRetryScheduled, TaskStarted, TaskStatus, TaskSucceeded
from trunkline_router.model.task import Task

MOST_LOST: Final = 5
"""Machines that one task may lose before that counts as its own failure: one restart after the other loses several."""
RETRY_PAUSES_S: Final = (2.0, 10.0, 30.0, 60.0, 120.0)
"""Seconds before attempt 2, 3, …; the last one repeats."""
JITTER: Final = 0.2
"""Of a pause at most so much more, so that what failed together does not come back together."""
NO_REASON: Final = "the agent says that the task failed, and not why; ask whoever runs the agent"
_STANDS: Final = {
    Reported.STARTED: TaskStatus.IN_PROGRESS,
    Reported.SUCCEEDED: TaskStatus.SUCCEEDED,
    Reported.FAILED: TaskStatus.FAILED,
}
_WORDS: Final = {Reported.STARTED: "begun", Reported.SUCCEEDED: "done", Reported.FAILED: "failed"}
_CLOSED: Final = {
    TaskStatus.SUCCEEDED: "is over: it succeeded",
    TaskStatus.FAILED: "is over: it failed",
    TaskStatus.CANCELLED: "is over: it was cancelled",
    TaskStatus.STOPPING: "is being stopped",
}
_OPEN: Final = (TaskStatus.ASSIGNED, TaskStatus.IN_PROGRESS)


def reported(task: Task, wish: ReportTask, at: datetime) -> list[Fact]:
    """The same again leads to nothing. Raises Conflict for a move that is not open to an agent."""
    if task.calls_home:
        raise Conflict("the agent of this task says itself how it goes, by calling home; nobody else can report on it", code="NOT_YOURS")
    if not task.elsewhere:
        raise Conflict("Trunkline itself carries this task out and knows how it goes; nobody else can report on it", code="NOT_YOURS")
    if task.hold:
        raise Conflict("the task waits for an approval and may not begin before it is given", code="HELD", status=task.status.value)
    if task.lease:
        raise Conflict(f"{task.lease.by} has this task in hand, and says itself how it goes", code="LEASED", status=task.status.value)
    if _said_before(task, wish):
        return []
    if task.status not in _OPEN:
        raise Conflict(_illegal(task, wish), code="ILLEGAL_MOVE", status=task.status.value)
    began: list[Fact] = [] if task.status is TaskStatus.IN_PROGRESS else [TaskStarted(attempt=task.attempt, by=wish.by)]
    match wish.reported:
        case Reported.STARTED:
            return began
        case Reported.SUCCEEDED:
            return [*began, TaskSucceeded()]
        case Reported.FAILED:
            failed = TaskFailed(code="AGENT_FAILED", error=wish.error.strip() or NO_REASON)
            return [*began, *tried_again(task, failed, at, mendable=True)]


def tried_again(task: Task, failed: TaskFailed, at: datetime, *, mendable: bool) -> list[Fact]:
    """Another attempt after a pause while there are any left, else the end. A machine that is gone is no failure of the task's."""
    spared = failed.code == SANDBOX_LOST and task.lost < MOST_LOST
    if not mendable or (not spared and task.attempt - task.lost > task.assignment.max_retries):
        return [failed]
    pause = RETRY_PAUSES_S[min(task.attempt - 1, len(RETRY_PAUSES_S) - 1)] * (1 + JITTER * _chance(at))
    return [TaskRetryScheduled(attempt=task.attempt + 1, due_at=at + timedelta(seconds=pause), code=failed.code, reason=failed.error)]


def _chance(at: datetime) -> float:
    """0 to 1: no two fail in the same microsecond, and thinking throws no dice."""
    return at.microsecond / 1_000_000


def _said_before(task: Task, wish: ReportTask) -> bool:
    """Whether the task stands as reported; a failure that leads to another attempt leaves the task waiting for it.

    A task that waits for its moment stands as one between two attempts does, and never failed.
    """
    waits_again = task.status is TaskStatus.SUBMITTED and task.retried_at is not None
    if wish.reported is Reported.FAILED and (waits_again or wish.at == task.retried_at):
        return True
    return task.status is _STANDS[wish.reported]


def _illegal(task: Task, wish: ReportTask) -> str:
    word = f"it cannot be reported as {_WORDS[wish.reported]}"
    if task.status is not TaskStatus.SUBMITTED:
        return f"the task {_CLOSED[task.status]}; {word} any more"
    if task.retried_at is None:
        return f"the task may not begin before its start_at ({task.assignment.start_at}); {word} before"
    return f"the task waits for its attempt {task.attempt + 1}; {word} before"
