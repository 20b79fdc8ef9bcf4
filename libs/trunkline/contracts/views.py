"""Views: how a task looks from outside right now, and what is asked of them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import JsonValue

from trunkline.contracts.message import Command, Message
from trunkline.contracts.run import Phase, RunResult, Usage
from trunkline.contracts.spend import counted
from trunkline.contracts.task import Assignment, CancelCause, EventPublished, Priority, TaskStatus


class TaskView(Message):
    """A task as a reader sees it."""

    tenant: str
    task_id: str
    assignment: Assignment
    submitted_by: str
    aliases: tuple[str, ...] = ()
    trace_id: str | None = None
    status: TaskStatus = TaskStatus.SUBMITTED
    pool: str | None = None
    """Whose agents it was assigned to."""
    approval_id: str | None = None
    """The approval that it was held for, by its name within the task."""
    approval_status: str | None = None
    """pending, approved, rejected or withdrawn, while it was ever held."""
    gated: bool = False
    """Whether it waited for its moment, to be held then; `approval_id` is there when it is."""
    children: tuple[str, ...] = ()
    """Tasks that are parts of it, the newest hundred."""
    sla_at: datetime | None = None
    sla_breached_at: datetime | None = None
    cancel_cause: CancelCause | None = None
    attempt: int = 0
    phase: Phase | None = None
    agent: str | None = None
    sandbox_id: str | None = None
    sandbox_at: datetime | None = None
    sandbox_seconds: float | None = None
    """How long it was there, of a run that is over, however it ended."""
    branch: str | None = None
    commit: str | None = None
    files_changed: int | None = None
    additions: int | None = None
    deletions: int | None = None
    pull_request: int | None = None
    pull_request_url: str | None = None
    pull_request_state: str | None = None
    """open, merged or closed, as far as the forge said; it may end after the task."""
    waiting_for: str | None = None
    """What its run waits for, while it does."""
    approval_waiting: str | None = None
    """The approval that its run waits for, by its name within the task."""
    paused: bool = False
    """Whether somebody wants its run to pause."""
    spent_usd: float = 0.0
    """What its models cost so far, for the budget: a guess where a price is not known; an aborted answer may be told after the end."""
    priced: bool = True
    """Whether the price of every model that answered is known."""
    limit_usd: float | None = None
    """What they may cost before somebody is asked, as the last answer of a model found it."""
    input_tokens: int = 0
    output_tokens: int = 0
    model: str | None = None
    """The last that answered, by the name that it gave itself."""
    result: RunResult | None = None
    """What a run of ours left behind."""
    outcome: JsonValue = None
    """What an agent on the bus says that came out of it."""
    error_code: str | None = None
    error: str | None = None
    submitted_at: datetime
    started_at: datetime | None = None
    updated_at: datetime
    ended_at: datetime | None = None
    seq: int
    """Stream sequence of the newest fact in it."""

    @property
    def used(self) -> Usage:
        """What passed on the way to its models, and nothing that its agent says of itself."""
        return counted(self.model, (self.input_tokens, self.output_tokens), self.spent_usd, priced=self.priced)


class GetTask(Command):
    """Read one task, by its id or by an alias (`<surface>:<name>`)."""

    type: str = "get"
    task: str


FINGERPRINT: Final = "clientFingerprint"
LOGIN: Final = "github_login"
"""Labels that lists find by. Labels give no right: whose tasks they are, `submitted_by` says."""


class TaskSort(StrEnum):
    """How a list is ordered; among equals the newest first, and where it says priority, the oldest first."""

    NEWEST = "newest"
    OLDEST = "oldest"
    UPDATED = "updated"
    PRIORITY = "priority"


class ListTasks(Command):
    """Read a page of the tasks of a tenant. What is left empty does not filter."""

    type: str = "list"
    status: TaskStatus | None = None
    """One more of `statuses`."""
    statuses: tuple[TaskStatus, ...] = ()
    types: tuple[str, ...] = ()
    priorities: tuple[Priority, ...] = ()
    pool: str | None = None
    source: str | None = None
    parent: str | None = None
    trace_id: str | None = None
    submitted_by: str | None = None
    surface: str | None = None
    fingerprint: str | None = None
    """What the client called itself, as in the label FINGERPRINT."""
    login: str | None = None
    """As in the label LOGIN, in any case."""
    submitted_from: datetime | None = None
    submitted_before: datetime | None = None
    seen_by: str | None = None
    """Who asks: what others alone may see is left out, and not counted. None: nothing is hidden from whoever asks."""
    sort: TaskSort = TaskSort.NEWEST
    limit: int = 20
    offset: int = 0
    after: str | None = None
    """`next` of the page before; it holds for the same filters and order only."""


class TaskPage(Message):
    tasks: tuple[TaskView, ...]
    total: int
    next: str | None = None
    """Where the next page begins; None: this is the last."""


class CountTasks(Command):
    """How many tasks there are, of everybody: no more than what anybody may know."""

    type: str = "count"


class TaskCounts(Message):
    pending: int
    """Submitted or assigned, and not begun."""
    processing: int
    total: int


class GetTrace(Command):
    """Read everything that carries one trace id: the tasks, and the events that were published under it."""

    type: str = "trace"
    trace_id: str
    limit: int = 100
    seen_by: str | None = None
    """As in ListTasks."""


class TraceEvent(Message):
    """A published event at its place."""

    cursor: str
    at: datetime
    task_id: str | None = None
    event: EventPublished


class TraceView(Message):
    trace_id: str
    tasks: tuple[TaskView, ...]
    events: tuple[TraceEvent, ...]
