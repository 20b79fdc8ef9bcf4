"""The task: a piece of work somebody asked for. Its commands, its facts, and how it looks from outside."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field

from trunkline.contracts.ids import Token
from trunkline.contracts.message import Command, Fact, Message
from trunkline.contracts.run import RunResult


class Priority(StrEnum):
    P0 = "P0"
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"


class TaskStatus(StrEnum):
    SUBMITTED = "submitted"
    ASSIGNED = "assigned"
    IN_PROGRESS = "in_progress"
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        return self in (TaskStatus.SUCCEEDED, TaskStatus.FAILED, TaskStatus.CANCELLED)


class Assignment(Message):
    """What the task is, as asked for: everything an executor needs and nothing secret."""

    repo: str
    """`owner/name` at the forge."""
    prompt: str
    branch: str = "main"
    """The base branch of the pull request."""
    agent: str | None = None
    """Which agent is to do it; None takes the configured one."""
    pool: Token = "dev"
    priority: Priority = Priority.P2
    deadline_s: float = Field(default=3600, gt=0)
    """Seconds from submission to the moment the task is stopped and failed."""
    max_retries: int = Field(default=1, ge=0, le=10)
    """How many times a run that failed recoverably is tried again."""
    surface: str = "trunkline"
    """The dialect that the task came in by."""
    labels: dict[str, str] = {}
    """What the caller wrote beside it; it gives no right."""


class SubmitTask(Command):
    """Make a task. Repeating it with the same id changes nothing."""

    type: Literal["submit"] = "submit"
    task_id: Token
    assignment: Assignment
    submitted_by: str
    aliases: tuple[str, ...] = ()
    """Other names by which surfaces find this task, each `<surface>:<name>`."""
    trace_id: str | None = None


class CancelTask(Command):
    """Stop a task wherever it stands."""

    type: Literal["cancel"] = "cancel"
    task_id: Token
    by: str
    reason: str = ""


class TaskSubmitted(Fact):
    type: Literal["task.submitted"] = "task.submitted"
    assignment: Assignment
    submitted_by: str
    deadline_at: datetime
    aliases: tuple[str, ...] = ()
    trace_id: str | None = None


class TaskAssigned(Fact):
    """The task may be taken by an agent of the pool. `attempt` counts from 1."""

    type: Literal["task.assigned"] = "task.assigned"
    pool: str
    attempt: int


class TaskStarted(Fact):
    type: Literal["task.started"] = "task.started"
    attempt: int


class TaskRetryScheduled(Fact):
    type: Literal["task.retry_scheduled"] = "task.retry_scheduled"
    attempt: int
    """The attempt that will be made."""
    due_at: datetime
    code: str
    reason: str


class StopCause(StrEnum):
    CANCELLED = "cancelled"
    DEADLINE = "deadline"


class TaskStopRequested(Fact):
    """Whoever runs the task is to end it; the task is over when the run says so."""

    type: Literal["task.stop_requested"] = "task.stop_requested"
    cause: StopCause
    by: str
    reason: str


class TaskSucceeded(Fact):
    type: Literal["task.succeeded"] = "task.succeeded"
    result: RunResult


class TaskFailed(Fact):
    type: Literal["task.failed"] = "task.failed"
    code: str
    error: str
    """A sentence for people: what happened, why, and what to do."""


class TaskCancelled(Fact):
    type: Literal["task.cancelled"] = "task.cancelled"
    by: str
    reason: str


ENDS: Final = (TaskSucceeded, TaskFailed, TaskCancelled)
"""The facts after which nothing happens to a task any more."""

TaskFact = Annotated[
    TaskSubmitted | TaskAssigned | TaskStarted | TaskRetryScheduled | TaskStopRequested | TaskSucceeded | TaskFailed | TaskCancelled,
    Field(discriminator="type"),
]
