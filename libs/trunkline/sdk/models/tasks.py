"""Tasks, as the orchestrator surface answers them."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import JsonValue

from trunkline.sdk.models import Shape

Object = dict[str, JsonValue]
OVER = ("completed", "failed", "cancelled")


class Sla(Shape):
    """What was promised. `target` in seconds."""

    target: float
    deadline: datetime
    breached: bool = False


class TaskResult(Shape):
    """What an agent left behind; all of a change is None where it worked without a repository."""

    branch: str | None = None
    commit: str | None = None
    pull_request: int | None = None
    pull_request_url: str | None = None
    files_changed: int | None = None
    additions: int | None = None
    deletions: int | None = None
    summary: str = ""
    outcome: JsonValue = None
    """What the handler of an agent on NATS returned."""


class Spent(Shape):
    """What its models used so far; None: not known. `limit_usd` is None where any amount may be spent, or nobody said yet."""

    usd: float | None = None
    limit_usd: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    model: str | None = None
    """The last that answered."""


class TaskRule(Shape):
    """A rule of this task alone."""

    tool: str
    argument: str
    then: str
    reason: str = ""


class Task(Shape):
    """A task. `status` is pending, assigned, in_progress, completed, failed or cancelled."""

    task_id: str
    status: str
    type: str | None = None
    priority: str = ""
    source: str | None = None
    payload: Object = {}
    metadata: Object = {}
    labels: dict[str, str] = {}
    assigned_agent: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    updated_at: datetime | None = None
    trace_id: str | None = None
    parent_task_id: str | None = None
    child_task_ids: tuple[str, ...] = ()
    retry_count: int = 0
    max_retries: int = 0
    budget_usd: float | None = None
    tool_rules: tuple[TaskRule, ...] = ()
    error: str | None = None
    sla: Sla | None = None
    requires_approval: bool = False
    approval_id: str | None = None
    approval_status: str | None = None
    created_by: str = ""
    waiting_for: str | None = None
    waiting_approval_id: str | None = None
    paused: bool = False
    spent: Spent = Spent()
    pull_request_state: str | None = None
    result: TaskResult | None = None

    @property
    def over(self) -> bool:
        return self.status in OVER


class TakenFrom(Shape):
    """What a task goes on from. An empty `snapshot` is the repository as it was cloned."""

    task_id: str
    event_id: str = ""
    at: datetime | None = None
    snapshot: str = ""
    conversation: bool = False


class TaskCreated(Shape):
    """A task that is on disk; the last three when somebody must approve it first, `origin` when it goes on from another.

    `approval_status` is None for one that begins later: nobody is asked before, and until then there is no such approval.
    """

    task_id: str
    message: str = ""
    task: Task
    requires_approval: bool = False
    approval_id: str | None = None
    approval_status: str | None = None
    origin: TakenFrom | None = None


class TaskAnswer(Shape):
    task: Task


class TaskList(Shape):
    tasks: tuple[Task, ...]
    total: int
    next_cursor: str | None = None


class TaskEvent(Shape):
    """One event of a task. What Trunkline itself says has no `published_by`; the event `gap` has no id, and all that is known follows."""

    event_type: str
    task_id: str = ""
    timestamp: datetime
    id: str | None = None
    payload: Object = {}
    trace_id: str | None = None
    source_agent: str = ""
    published_by: str | None = None
    priority: str | None = None


class EventPage(Shape):
    """`next` is where to go on from, also when nothing more is there yet."""

    events: tuple[TaskEvent, ...]
    next: str | None = None
    has_more: bool = False


class Message(Shape):
    """A message to an agent. `state` is queued, delivered, taken or withdrawn."""

    message_id: str
    text: str = ""
    cut: bool = False
    by: str = ""
    state: str = ""
    edits: int = 0
    queued_at: datetime | None = None
    delivered_at: datetime | None = None
    taken_at: datetime | None = None


class MessageQueue(Shape):
    """Those that wait in their order, then the others, the newest first."""

    messages: tuple[Message, ...] = ()
    waiting: int = 0
    paused: bool = False
    closed: bool = False


class MessageSaid(Shape):
    """It is on disk; its receipts are on the timeline of the task."""

    message_id: str
    message: str = ""


class MessagesOrdered(Shape):
    message_ids: tuple[str, ...] = ()


class Steered(Shape):
    """The wish is on disk; what comes of it is told on the timeline of the task."""

    task_id: str = ""
    action: str
    message: str = ""


class Used(Shape):
    """One model on one day (UTC). `cost_usd` is None where its price is not known."""

    day: date
    model: str | None = None
    requests: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    estimated: bool = False


class Usage(Shape):
    """The newest day first, and in it the dearest model."""

    usage: tuple[Used, ...] = ()
    cost_usd: float = 0.0


class Published(Shape):
    event_id: str
    event_type: str = ""


class TracedEvent(Shape):
    event_type: str
    source_agent: str = ""
    published_by: str = ""
    payload: Object = {}
    task_id: str | None = None
    trace_id: str = ""
    priority: str | None = None
    timestamp: datetime
    id: str | None = None


class Trace(Shape):
    """Everything that carries one trace id."""

    trace_id: str
    tasks: tuple[Task, ...] = ()
    events: tuple[TracedEvent, ...] = ()
