"""Views: how a task looks from outside right now, folded from its facts by a pure function."""

from __future__ import annotations

from datetime import datetime

from trunkline.contracts.message import Command, Fact, Message
from trunkline.contracts.record import Event
from trunkline.contracts.run import (
    AgentStarted,
    ChangesCommitted,
    Phase,
    PhaseBegan,
    PullRequestOpened,
    RunClaimed,
    RunResult,
    SandboxReady,
)
from trunkline.contracts.task import (
    Assignment,
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


class TaskView(Message):
    """A task as a reader sees it."""

    tenant: str
    task_id: str
    assignment: Assignment
    submitted_by: str
    aliases: tuple[str, ...] = ()
    trace_id: str | None = None
    status: TaskStatus = TaskStatus.SUBMITTED
    attempt: int = 0
    phase: Phase | None = None
    agent: str | None = None
    sandbox_id: str | None = None
    branch: str | None = None
    commit: str | None = None
    files_changed: int | None = None
    additions: int | None = None
    deletions: int | None = None
    pull_request: int | None = None
    pull_request_url: str | None = None
    result: RunResult | None = None
    error_code: str | None = None
    error: str | None = None
    submitted_at: datetime
    started_at: datetime | None = None
    updated_at: datetime
    ended_at: datetime | None = None
    seq: int
    """Stream sequence of the newest fact in it."""


class GetTask(Command):
    """Read one task, by its id or by an alias (`<surface>:<name>`)."""

    type: str = "get"
    task: str


class ListTasks(Command):
    """Read a page of the tasks of a tenant, newest first."""

    type: str = "list"
    status: TaskStatus | None = None
    submitted_by: str | None = None
    limit: int = 20
    offset: int = 0


class TaskPage(Message):
    tasks: tuple[TaskView, ...]
    total: int


def fold(view: TaskView | None, event: Event) -> TaskView | None:
    """The view after one more event. Facts that say nothing about the view leave it as it is.

    A task that is over stays as it ended: `seq` of such a view is the place of its last word.
    """
    if view is None:
        return _first(event)
    if view.status.terminal:
        return view
    changes = _changes(event.fact, event)
    return view.model_copy(update={**changes, "updated_at": event.at, "seq": event.cursor.seq}) if changes else view


def _first(event: Event) -> TaskView | None:
    fact = event.fact
    if not isinstance(fact, TaskSubmitted):
        return None
    return TaskView(
        tenant=event.tenant,
        task_id=event.task,
        assignment=fact.assignment,
        submitted_by=fact.submitted_by,
        aliases=fact.aliases,
        trace_id=fact.trace_id,
        submitted_at=event.at,
        updated_at=event.at,
        seq=event.cursor.seq,
    )


def _changes(fact: Fact, event: Event) -> dict[str, object]:
    match fact:
        case TaskAssigned():
            return {"status": TaskStatus.ASSIGNED, "attempt": fact.attempt}
        case TaskStarted():
            return {"status": TaskStatus.IN_PROGRESS, "attempt": fact.attempt}
        case TaskRetryScheduled():
            return {"status": TaskStatus.SUBMITTED}
        case TaskStopRequested():
            return {"status": TaskStatus.STOPPING}
        case TaskSucceeded():
            return {"status": TaskStatus.SUCCEEDED, "result": fact.result, "ended_at": event.at}
        case TaskFailed():
            return {"status": TaskStatus.FAILED, "error_code": fact.code, "error": fact.error, "ended_at": event.at}
        case TaskCancelled():
            return {"status": TaskStatus.CANCELLED, "error_code": "CANCELLED", "error": fact.reason, "ended_at": event.at}
        case _:
            return _run_changes(fact, event)


def _run_changes(fact: Fact, event: Event) -> dict[str, object]:
    match fact:
        case RunClaimed():
            return {"started_at": event.at} if fact.attempt == 1 else {"attempt": fact.attempt}
        case PhaseBegan():
            return {"phase": fact.phase}
        case SandboxReady():
            return {"sandbox_id": fact.sandbox_id}
        case AgentStarted():
            return {"agent": fact.agent}
        case ChangesCommitted():
            return fact.model_dump(include={"branch", "commit", "files_changed", "additions", "deletions"})
        case PullRequestOpened():
            return {"pull_request": fact.number, "pull_request_url": fact.url}
        case _:
            return {}
