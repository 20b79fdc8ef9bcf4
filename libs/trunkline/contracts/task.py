"""The task: a piece of work somebody asked for. Its commands, its facts, and how it looks from outside."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final, Literal

from pydantic import Field, JsonValue

from trunkline.contracts.calls import ToolRule
from trunkline.contracts.dispatch import Workflow
from trunkline.contracts.ids import Token
from trunkline.contracts.message import EMPTY, Command, Fact, JsonObject, Message
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


class Executor(StrEnum):
    """Who carries a task out."""

    SANDBOX = "sandbox"
    """A coding agent that Trunkline runs itself."""
    BUS = "bus"
    """An agent of the task's pool that runs elsewhere and reports how it goes."""
    GITHUB_WORKFLOW = "github_workflow"
    """An agent in the repository's own workflow, which Trunkline starts there and which calls home."""
    CALLBACK = "callback"
    """An agent that somebody else started, and that registered itself by calling home."""


HOME_EXECUTORS: Final = (Executor.GITHUB_WORKFLOW, Executor.CALLBACK)  # whose agents call home: their tasks have an instance


class Onward(StrEnum):
    """How a task goes on from an earlier one."""

    CONTINUE = "continue"
    """On its branch, with its pull request."""
    FORK = "fork"
    """On a branch of its own."""


class Visibility(StrEnum):
    """Who may look at a task, besides whoever sees all of its tenant."""

    OPEN = "open"
    """Everybody in its tenant who knows its id."""
    PRIVATE = "private"
    """Whoever has a role in its tenant: who submitted it is one of them."""
    OWNER = "owner"
    """Whoever submitted it, and the admins of its tenant."""


class Origin(Message):
    """The task that this one goes on from, as it was found at submission: what is approved is what is run."""

    task: Token
    onward: Onward
    attempt: int
    """Of the earlier task: the one that is gone on from."""
    snapshot: str
    """Its name within the attempt; empty: the repository as it was cloned, before the agent began."""
    commit: str
    """Of the workspace, in what was kept of the attempt."""
    base: str
    """The commit that the work is compared with, and committed on top of."""
    session: str = ""
    """The agent's own name of the conversation; empty: there is none to go on with."""
    branch: str = ""
    """Continue: the branch that is pushed forward."""
    pushed: str = ""
    """Continue: what the branch must still be at the forge; empty: nothing was pushed."""
    asked: str = ""
    """What the earlier task was asked, shortened; told to agents that cannot resume."""
    summary: str = ""
    """What its agent said last, shortened."""
    earlier: tuple[Token, ...] = ()
    """Continue: whose work is on the branch besides that of `task`, the oldest first."""


class Assignment(Message):
    """What the task is, as asked for: everything an executor needs and nothing secret."""

    repo: str = ""
    """`owner/name` at the forge; a task for the bus may have none."""
    prompt: str = ""
    type: str = ""
    """The word that the caller used for the kind of work; the router sends it to a pool by that. Empty: no word, the pool as given."""
    source: str = ""
    """Where the wish came from, in the caller's word."""
    payload: JsonObject = EMPTY
    """What the type of work needs to know, as sent."""
    metadata: JsonObject = EMPTY
    executor: Executor = Executor.SANDBOX
    parent: Token | None = None
    """The task that this one is a part of."""
    sla_s: float | None = Field(default=None, gt=0)
    """Seconds from submission, or from `start_at`, within which it was promised; being late is a fact and stops nothing."""
    branch: str = "main"
    """The base branch of the pull request."""
    pull_request: int | None = Field(default=None, ge=1)
    """The work is about that pull request: it begins on its branch, and goes there; `branch` counts for nothing then."""
    agent: str | None = None
    """Which agent is to do it; None takes the configured one."""
    model: str | None = Field(default=None, max_length=128)
    """Which model the agent is to take, in its own word; None leaves it the choice. Agents that know no such word pass over it."""
    sandbox: Token | None = None
    """The named sandbox that it is carried out in, without a repository; None makes one for the run."""
    env: dict[str, str] = EMPTY
    """For the agent's program beside its own; nothing secret, and nothing of `job_env.NEVER`. Only in a named sandbox."""
    pool: Token = "dev"
    priority: Priority = Priority.P2
    start_at: datetime | None = None
    """Not before this moment; None and what has passed mean now."""
    deadline_s: float = Field(default=3600, gt=0)
    """Seconds from the moment the work may begin to the moment the task is stopped and failed."""
    max_retries: int = Field(default=1, ge=0, le=10)
    """How many times a run that failed recoverably, or a task whose agent says that it failed, is tried again."""
    surface: str = "trunkline"
    """The dialect that the task came in by."""
    visibility: Visibility = Visibility.PRIVATE
    sent_from: str = ""
    """Of a stranger's: a keyed hash of its address, by which that stranger is known again for this one task. Empty: nobody knows."""
    labels: dict[str, str] = EMPTY
    """What the caller wrote beside it; it gives no right."""
    tool_rules: tuple[ToolRule, ...] = ()
    """May only ask or deny; on top of the installation's."""
    budget_usd: float | None = Field(default=None, gt=0)
    """What its models may cost before somebody is asked; None takes the configured one."""
    origin: Origin | None = None
    """The task that it goes on from, with workspace and conversation."""
    credential: Token | None = None
    """Handle of the caller's own token for the forge, which lies sealed in the vault; None takes the installation's."""
    workflow: Workflow | None = None


class SubmitTask(Command):
    """Make a task. Repeating it with the same id changes nothing."""

    type: Literal["submit"] = "submit"
    task_id: Token
    assignment: Assignment
    submitted_by: str
    aliases: tuple[str, ...] = ()
    """Other names by which surfaces find this task, each `<surface>:<name>`."""
    trace_id: str | None = None


class CancelCause(StrEnum):
    WISH = "wish"
    APPROVAL_REJECTED = "approval_rejected"
    APPROVAL_EXPIRED = "approval_expired"
    PARENT_CANCELLED = "parent_cancelled"


class CancelTask(Command):
    """Stop a task wherever it stands."""

    type: Literal["cancel"] = "cancel"
    task_id: Token
    by: str
    reason: str = ""
    cause: CancelCause = CancelCause.WISH


class Reported(StrEnum):
    """How far an agent on the bus says that it is."""

    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class ReportTask(Command):
    """An agent on the bus says how its task goes. Saying the same again changes nothing."""

    type: Literal["report"] = "report"
    task_id: Token
    reported: Reported
    by: str
    error: str = ""


class SettleHold(Command):
    """Make sure that what was decided about a held task takes effect now. Changes nothing when it has, or when nothing was decided."""

    type: Literal["settle"] = "settle"
    task_id: Token


class Hold(Message):
    """Why a task may not begin yet, and what would let it."""

    approval_id: Token = "release"
    """The approval's name within its task."""
    digest: str
    """SHA-256 (hex) of the assignment; only an approval of exactly this releases it."""
    reasons: tuple[str, ...]
    """The rules that hold it, as sentences."""


class Submitted(Message):
    """What the router made of a submission: the body of its answer."""

    task_id: str
    pool: str
    executor: Executor
    status: TaskStatus
    hold: Hold | None = None
    gated: bool = False
    """Whether somebody will have to allow it at the later moment at which it may begin; nobody is asked yet."""
    submitted_at: datetime
    sla_at: datetime | None = None
    trace_id: str | None = None


class Moved(Message):
    """Where a task stands after a report or a cancellation: the body of the router's answer."""

    status: TaskStatus


class EventPublished(Fact):
    """Somebody told everybody something; Trunkline keeps it as it was said and acts on none of it."""

    type: Literal["event.published"] = "event.published"
    event_type: str
    """Dotted lower-case words."""
    by: str
    """The authenticated subject; `source` is only what it calls itself."""
    source: str = ""
    payload: JsonObject = EMPTY
    trace_id: str | None = None
    priority: str = ""


class PublishEvent(Command):
    """Tell everybody about something. Repeating it with the same id says it once."""

    type: Literal["publish"] = "publish"
    event_id: Token
    task_id: Token | None = None
    """The task it is about, if any; it must be there."""
    event: EventPublished


class TaskSubmitted(Fact):
    type: Literal["task.submitted"] = "task.submitted"
    assignment: Assignment
    submitted_by: str
    deadline_at: datetime
    sla_at: datetime | None = None
    aliases: tuple[str, ...] = ()
    trace_id: str | None = None


class TaskAssigned(Fact):
    """The task may be taken by an agent of the pool. `attempt` counts from 1."""

    type: Literal["task.assigned"] = "task.assigned"
    pool: str
    attempt: int


class TaskHeld(Fact):
    """The task is not released to anybody before somebody allows it."""

    type: Literal["task.held"] = "task.held"
    hold: Hold
    subject: str
    """What is to be allowed, as a sentence."""
    requested_by: str
    about: JsonObject = EMPTY
    """What the rules of approval go by: type, priority, surface."""


class TaskReleased(Fact):
    """The task may begin: it was allowed. Its deadline counts from here."""

    type: Literal["task.released"] = "task.released"
    approval_id: str
    by: str
    deadline_at: datetime


class TaskHoldDropped(Fact):
    """The task ended while it was held: nobody has to decide any more."""

    type: Literal["task.hold_dropped"] = "task.hold_dropped"
    approval_id: str


class TaskSlaBreached(Fact):
    """The moment by which the task was promised has passed, and it is not done."""

    type: Literal["task.sla_breached"] = "task.sla_breached"
    due_at: datetime


class TaskChildAdded(Fact):
    """Another task was submitted as a part of this one."""

    type: Literal["task.child_added"] = "task.child_added"
    child: str


class TaskStarted(Fact):
    type: Literal["task.started"] = "task.started"
    attempt: int
    by: str = ""
    """The agent that said so, where an agent did."""


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
    cancel_cause: CancelCause = CancelCause.WISH
    """Why it is to be cancelled, where it is."""


class TaskSucceeded(Fact):
    type: Literal["task.succeeded"] = "task.succeeded"
    result: RunResult | None = None
    """What a run of ours left behind."""
    outcome: JsonValue = None
    """What an agent on the bus says that came out of it."""


class TaskFailed(Fact):
    type: Literal["task.failed"] = "task.failed"
    code: str
    error: str
    """A sentence for people: what happened, why, and what to do."""


class TaskCancelled(Fact):
    type: Literal["task.cancelled"] = "task.cancelled"
    by: str
    reason: str
    cause: CancelCause = CancelCause.WISH


class TaskWaits(Fact):
    """Its run waits for people: its deadline stands still."""

    type: Literal["task.waits"] = "task.waits"
    why: str
    approval_id: str = ""
    heard: int = 0
    """Stream sequence of the run's record that said so: what lies before it is older news."""


class TaskGoesOn(Fact):
    type: Literal["task.goes_on"] = "task.goes_on"
    deadline_at: datetime
    heard: int = 0
    """Stream sequence of the run's record that said so; 0: it follows from the end of the run."""


ENDS: Final = (TaskSucceeded, TaskFailed, TaskCancelled)
"""The facts after which nothing happens to a task any more."""
