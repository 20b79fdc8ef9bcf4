"""What the router remembers of a task, folded from its facts."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from trunkline.contracts.message import Fact
from trunkline.contracts.task import (
    HOME_EXECUTORS,
    Assignment,
    Executor,
    Hold,
    TaskAssigned,
    TaskCancelled,
    TaskChildAdded,
    TaskFailed,
    TaskGoesOn,
    TaskHeld,
    TaskHoldDropped,
    TaskReleased,
    TaskRetryScheduled,
    TaskSlaBreached,
    TaskStarted,
    TaskStatus,
    TaskStopRequested,
    TaskSubmitted,
    TaskSucceeded,
    TaskWaits,
)


class Task(NamedTuple):
    """What must be known of a task to decide what comes next."""

    assignment: Assignment
    submitted_at: datetime
    deadline_at: datetime
    sla_at: datetime | None = None
    trace_id: str | None = None
    status: TaskStatus = TaskStatus.SUBMITTED
    attempt: int = 0
    stop: TaskStopRequested | None = None
    hold: Hold | None = None
    """What it waits for before it may begin."""
    sla_breached: bool = False
    retried_at: datetime | None = None
    """When the last retry was asked for: a report of exactly that moment is the same one, sent again."""
    children: tuple[str, ...] = ()
    waits_since: datetime | None = None
    """Since when its run waits for people: the deadline stands still."""
    heard: int = 0
    """Where the run's newest word about waiting lies that was heard."""
    moved: bool = False
    """Whether the deadline is later than it was: alarms for earlier ones may still ring."""

    @property
    def elsewhere(self) -> bool:
        """Whether an agent outside carries it out, who can be told nothing and asked nothing."""
        return self.assignment.executor in (Executor.BUS, Executor.CALLBACK)

    @property
    def calls_home(self) -> bool:
        """Whether its agent is an instance: it has a conversation, and ends with what that says."""
        return self.assignment.executor in HOME_EXECUTORS

    @property
    def carried(self) -> bool:
        """Whether somebody of ours may be working on it, who must be asked to stop."""
        return not (self.elsewhere or self.hold or self.status.terminal or self.status is TaskStatus.SUBMITTED)


def evolve(task: Task | None, fact: Fact, at: datetime) -> Task | None:
    """The task after one more fact; facts of other versions change nothing."""
    if isinstance(fact, TaskSubmitted):
        return Task(fact.assignment, at, fact.deadline_at, fact.sla_at, fact.trace_id)
    return _evolved(task, fact, at) if task else None


def _evolved(task: Task, fact: Fact, at: datetime) -> Task:
    match fact:
        case TaskAssigned():
            return task._replace(status=TaskStatus.ASSIGNED, attempt=fact.attempt)
        case TaskStarted():
            return task._replace(status=TaskStatus.IN_PROGRESS)
        case TaskRetryScheduled():
            return task._replace(status=TaskStatus.SUBMITTED, retried_at=at)
        case TaskStopRequested():
            return task._replace(status=TaskStatus.STOPPING, stop=fact)
        case TaskSucceeded():
            return task._replace(status=TaskStatus.SUCCEEDED, hold=None)
        case TaskFailed():
            return task._replace(status=TaskStatus.FAILED, hold=None)
        case TaskCancelled():
            return task._replace(status=TaskStatus.CANCELLED, hold=None)
        case _:
            return _beside(task, fact, at)


def _beside(task: Task, fact: Fact, at: datetime) -> Task:
    """Facts that leave the status as it is."""
    match fact:
        case TaskWaits():
            return task._replace(waits_since=at, heard=fact.heard)
        case TaskGoesOn():
            return task._replace(waits_since=None, heard=fact.heard or task.heard, deadline_at=fact.deadline_at, moved=True)
        case TaskHeld():
            return task._replace(hold=fact.hold)
        case TaskReleased():
            return task._replace(hold=None, deadline_at=fact.deadline_at)
        case TaskHoldDropped():
            return task._replace(hold=None)
        case TaskSlaBreached():
            return task._replace(sla_breached=True)
        case TaskChildAdded():
            return task._replace(children=(*task.children, fact.child))
        case _:
            return task
