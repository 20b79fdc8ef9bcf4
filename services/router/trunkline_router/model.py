"""The life of a task as pure functions: what a wish or a happening leads to, and what the facts add up to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from trunkline.contracts.errors import Conflict, NotFound
from trunkline.contracts.message import Fact
from trunkline.contracts.run import RunResult
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
    TaskStatus,
    TaskStopRequested,
    TaskSubmitted,
    TaskSucceeded,
)

RETRY_PAUSES_S = (2.0, 10.0, 30.0, 60.0, 120.0)
"""Seconds before attempt 2, 3, …; the last one repeats."""


@dataclass(frozen=True, slots=True)
class Task:
    """What the router must remember of a task to decide what comes next."""

    assignment: Assignment
    deadline_at: datetime
    status: TaskStatus = TaskStatus.SUBMITTED
    attempt: int = 0
    stop: TaskStopRequested | None = None


@dataclass(frozen=True, slots=True)
class RunBegan:
    attempt: int


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run that succeeded has a result; one that failed has a code and an error."""

    attempt: int
    result: RunResult | None = None
    code: str = ""
    error: str = ""
    recoverable: bool = False


@dataclass(frozen=True, slots=True)
class RunWasStopped:
    attempt: int


@dataclass(frozen=True, slots=True)
class DeadlineReached:
    pass


@dataclass(frozen=True, slots=True)
class RetryDue:
    attempt: int


@dataclass(frozen=True, slots=True)
class StopOverdue:
    """Nobody confirmed the stop in time: nobody runs the task."""


Happening = RunBegan | RunEnded | RunWasStopped | DeadlineReached | RetryDue | StopOverdue
Wish = SubmitTask | CancelTask
Cue = Wish | Happening


def decide(task: Task | None, cue: Cue, at: datetime) -> list[Fact]:
    """The facts that follow. A repeat leads to none. Raises NotFound or Conflict for a wish that cannot be granted."""
    if isinstance(cue, SubmitTask):
        return [] if task else _submitted(cue, at)
    if task is None:
        return _unknown(cue)
    if isinstance(cue, CancelTask):
        return _cancel(task, cue)
    return [] if task.status.terminal else _happened(task, cue, at)


def _unknown(cue: CancelTask | Happening) -> list[Fact]:
    if isinstance(cue, CancelTask):
        raise NotFound("there is no such task", code="NO_SUCH_TASK")
    return []


def _submitted(wish: SubmitTask, at: datetime) -> list[Fact]:
    return [
        TaskSubmitted(
            assignment=wish.assignment,
            submitted_by=wish.submitted_by,
            deadline_at=at + timedelta(seconds=wish.assignment.deadline_s),
            aliases=wish.aliases,
            trace_id=wish.trace_id,
        ),
        TaskAssigned(pool=wish.assignment.pool, attempt=1),
    ]


def _cancel(task: Task, wish: CancelTask) -> list[Fact]:
    if task.status is TaskStatus.CANCELLED or (task.stop and not task.status.terminal):
        return []
    if task.status.terminal:
        raise Conflict(f"the task is over: it {task.status.value}", code="TASK_OVER", status=task.status.value)
    if task.status is TaskStatus.SUBMITTED:  # between two attempts: nobody has it
        return [TaskCancelled(by=wish.by, reason=wish.reason)]
    return [TaskStopRequested(cause=StopCause.CANCELLED, by=wish.by, reason=wish.reason)]


def _happened(task: Task, happening: Happening, at: datetime) -> list[Fact]:
    match happening:
        case RunBegan(attempt):
            return [TaskStarted(attempt=attempt)] if task.status is TaskStatus.ASSIGNED and attempt == task.attempt else []
        case RunEnded():
            return _ended(task, happening, at) if happening.attempt == task.attempt else []
        case RunWasStopped(attempt):
            return [_stopped(task.stop)] if task.stop and attempt == task.attempt else []
        case DeadlineReached():
            return _deadline(task)
        case RetryDue(attempt):
            due = task.status is TaskStatus.SUBMITTED and attempt == task.attempt + 1
            return [TaskAssigned(pool=task.assignment.pool, attempt=attempt)] if due else []
        case StopOverdue():
            return [_stopped(task.stop)] if task.stop else []
        case never:
            assert_never(never)


def _ended(task: Task, end: RunEnded, at: datetime) -> list[Fact]:
    if end.result is not None:
        return [TaskSucceeded(result=end.result)]
    if task.stop:
        return [_stopped(task.stop)]
    if end.recoverable and task.attempt <= task.assignment.max_retries:
        due = at + timedelta(seconds=RETRY_PAUSES_S[min(task.attempt - 1, len(RETRY_PAUSES_S) - 1)])
        return [TaskRetryScheduled(attempt=task.attempt + 1, due_at=due, code=end.code, reason=end.error)]
    return [TaskFailed(code=end.code, error=end.error)]


def _deadline(task: Task) -> list[Fact]:
    if task.stop:
        return []
    request = TaskStopRequested(cause=StopCause.DEADLINE, by="trunkline", reason=_late(task.assignment.deadline_s))
    return [_stopped(request)] if task.status is TaskStatus.SUBMITTED else [request]


def _stopped(stop: TaskStopRequested) -> Fact:
    if stop.cause is StopCause.DEADLINE:
        return TaskFailed(code="DEADLINE", error=stop.reason)
    return TaskCancelled(by=stop.by, reason=stop.reason)


def _late(deadline_s: float) -> str:
    return f"the task was not done within its {deadline_s:g} s; ask for less at once, or give it a longer deadline"


def evolve(task: Task | None, fact: Fact, at: datetime) -> Task | None:
    """The task after one more fact; facts of other versions change nothing."""
    if isinstance(fact, TaskSubmitted):
        return Task(fact.assignment, fact.deadline_at)
    return _evolved(task, fact) if task else None


def _evolved(task: Task, fact: Fact) -> Task:
    match fact:
        case TaskAssigned():
            return replace(task, status=TaskStatus.ASSIGNED, attempt=fact.attempt)
        case TaskStarted():
            return replace(task, status=TaskStatus.IN_PROGRESS)
        case TaskRetryScheduled():
            return replace(task, status=TaskStatus.SUBMITTED)
        case TaskStopRequested():
            return replace(task, status=TaskStatus.STOPPING, stop=fact)
        case TaskSucceeded():
            return replace(task, status=TaskStatus.SUCCEEDED)
        case TaskFailed():
            return replace(task, status=TaskStatus.FAILED)
        case TaskCancelled():
            return replace(task, status=TaskStatus.CANCELLED)
        case _:
            return task
