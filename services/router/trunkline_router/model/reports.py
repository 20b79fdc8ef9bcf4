"""What it means when an agent elsewhere says how its task goes, and when a failure is worth another try."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from trunkline.contracts.errors import Conflict
from trunkline.contracts.message import Fact
from trunkline.contracts.task import Reported, ReportTask, TaskFailed, TaskRetryScheduled, TaskStarted, TaskStatus, TaskSucceeded
from trunkline_router.model.task import Task

RETRY_PAUSES_S: Final = (2.0, 10.0, 30.0, 60.0, 120.0)
"""Seconds before attempt 2, 3, …; the last one repeats."""
NO_REASON: Final = "the agent says that the task failed, and not why; ask whoever runs the agent"
_STANDS: Final = {
    Reported.STARTED: TaskStatus.IN_PROGRESS,
    Reported.SUCCEEDED: TaskStatus.SUCCEEDED,
    Reported.FAILED: TaskStatus.FAILED,
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
    """Another attempt after a pause while there are any left, else the end."""
    if not mendable or task.attempt > task.assignment.max_retries:
        return [failed]
    due = at + timedelta(seconds=RETRY_PAUSES_S[min(task.attempt - 1, len(RETRY_PAUSES_S) - 1)])
    return [TaskRetryScheduled(attempt=task.attempt + 1, due_at=due, code=failed.code, reason=failed.error)]


def _said_before(task: Task, wish: ReportTask) -> bool:
    """Whether the task stands as reported; a failure that leads to another attempt leaves the task waiting for it."""
    if wish.reported is Reported.FAILED and (task.status is TaskStatus.SUBMITTED or wish.at == task.retried_at):
        return True
    return task.status is _STANDS[wish.reported]


def _illegal(task: Task, wish: ReportTask) -> str:
    if task.status is TaskStatus.SUBMITTED:
        return f"the task waits for its attempt {task.attempt + 1}; it cannot be {wish.reported.value} before"
    return f"the task is over: it {task.status.value}; it cannot be {wish.reported.value} any more"
