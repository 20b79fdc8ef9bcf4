"""What the router remembers of a task, folded from its facts."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from trunkline.contracts.agent import AgentReported
from trunkline.contracts.lease import LeaseEnd, TaskAnswered, TaskLeased, TaskLeaseOver
from trunkline.contracts.message import Fact
from trunkline.contracts.run import SANDBOX_LOST, ApprovalDropped, ApprovalWanted
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
from trunkline.contracts.task_waiting import TaskDelayed, TaskPlaceGiven


class Lease(NamedTuple):
    """In whose hands it is. `id` is the fence: only the router and that agent know it."""

    id: str
    by: str
    session: str
    attempt: int
    at: datetime
    started: bool = False
    trace: str = ""
    begun: bool = False
    """Started by being leased: the agent has not said so."""


class Past(NamedTuple):
    """The last lease that is over, and since when."""

    lease: Lease
    ended_at: datetime


class Closed(NamedTuple):
    """The last lease that its agent ended, and by which word: the same word again changes nothing."""

    lease: str
    by: str
    reported: AgentReported


class Asking(NamedTuple):
    """A question of its agent's. `digest` is of exactly what was asked."""

    approval_id: str
    digest: str
    open: bool = True


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
    gated: bool = False
    """Whether it waits, or waited, for its moment, to be held then."""
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
    lease: Lease | None = None
    past: Past | None = None
    given_back: int = 0
    """Leases of this attempt that ended before the work did."""
    closed: Closed | None = None
    asks: tuple[Asking, ...] = ()
    """By the agents of all its attempts."""
    submitted_by: str = ""
    placed: bool = False
    """Whether it waited for a place and has it."""
    lost: int = 0
    """Attempts that ended with their machine, and were tried again."""

    @property
    def elsewhere(self) -> bool:
        """Whether an agent outside carries it out; one without a lease can be told nothing and asked nothing."""
        return self.assignment.executor in (Executor.BUS, Executor.CALLBACK)

    @property
    def calls_home(self) -> bool:
        """Whether its agent is an instance: it has a conversation, and ends with what that says."""
        return self.assignment.executor in HOME_EXECUTORS

    @property
    def carried(self) -> bool:
        """Whether somebody who can be told may be working on it, and must be asked to stop."""
        return not ((self.elsewhere and not self.lease) or self.hold or self.status.terminal or self.status is TaskStatus.SUBMITTED)


def evolve(task: Task | None, fact: Fact, at: datetime) -> Task | None:
    """The task after one more fact; facts of other versions change nothing."""
    if isinstance(fact, TaskSubmitted):
        return Task(fact.assignment, at, fact.deadline_at, fact.sla_at, fact.trace_id, submitted_by=fact.submitted_by)
    if task is None:
        return None
    after = _evolved(task, fact, at)
    return after._replace(past=Past(task.lease, at)) if task.lease and not after.lease else after


def _evolved(task: Task, fact: Fact, at: datetime) -> Task:
    match fact:
        case TaskAssigned():
            given_back = task.given_back if fact.attempt == task.attempt else 0
            return task._replace(status=TaskStatus.ASSIGNED, attempt=fact.attempt, given_back=given_back)
        case TaskStarted():
            return task._replace(status=TaskStatus.IN_PROGRESS, lease=task.lease and task.lease._replace(started=True))
        case TaskRetryScheduled():
            lost = task.lost + (fact.code == SANDBOX_LOST)
            return _closed(task, AgentReported.FAILED)._replace(status=TaskStatus.SUBMITTED, retried_at=at, lost=lost)
        case TaskStopRequested():
            return task._replace(status=TaskStatus.STOPPING, stop=fact)
        case TaskSucceeded():
            return _closed(task, AgentReported.SUCCEEDED)._replace(status=TaskStatus.SUCCEEDED, hold=None)
        case TaskFailed():
            word = AgentReported.STOPPED if task.stop else AgentReported.FAILED
            return _closed(task, word)._replace(status=TaskStatus.FAILED, hold=None)
        case TaskCancelled():
            return _closed(task, AgentReported.STOPPED)._replace(status=TaskStatus.CANCELLED, hold=None)
        case TaskLeased():
            return task._replace(lease=Lease(fact.lease, fact.by, fact.session, fact.attempt, at, trace=fact.trace, begun=fact.begun))
        case TaskLeaseOver():
            return _lease_over(task, fact)
        case _:
            return _beside(task, fact, at)


def _closed(task: Task, reported: AgentReported) -> Task:
    """What ends the work ends its lease, by a word of the agent's as far as there is one."""
    if task.lease is None:
        return task
    return task._replace(lease=None, closed=Closed(task.lease.id, task.lease.by, reported))


def _lease_over(task: Task, fact: TaskLeaseOver) -> Task:
    closed = Closed(fact.lease, fact.by, AgentReported.RELEASED) if fact.why is LeaseEnd.RELEASED else task.closed
    return task._replace(lease=None, given_back=task.given_back + 1, closed=closed)


def _beside(task: Task, fact: Fact, at: datetime) -> Task:
    """Facts that leave the status as it is."""
    match fact:
        case TaskWaits():
            return task._replace(waits_since=at, heard=fact.heard)
        case TaskGoesOn():
            return task._replace(waits_since=None, heard=fact.heard or task.heard, deadline_at=fact.deadline_at, moved=True)
        case TaskDelayed():
            return task._replace(gated=fact.gated)
        case TaskHeld():
            return task._replace(hold=fact.hold)
        case TaskReleased():
            return task._replace(hold=None, deadline_at=fact.deadline_at)
        case TaskHoldDropped():
            return task._replace(hold=None)
        case TaskSlaBreached():
            return task._replace(sla_breached=True)
        case TaskPlaceGiven():
            return task._replace(placed=True)
        case TaskChildAdded():
            return task._replace(children=(*task.children, fact.child))
        case ApprovalWanted():
            return task._replace(asks=(*task.asks, Asking(fact.approval_id, fact.digest)))
        case TaskAnswered() | ApprovalDropped():
            return task._replace(asks=tuple(_settled(ask, fact.approval_id) for ask in task.asks))
        case _:
            return task


def _settled(ask: Asking, approval_id: str) -> Asking:
    return ask._replace(open=False) if ask.approval_id == approval_id else ask
