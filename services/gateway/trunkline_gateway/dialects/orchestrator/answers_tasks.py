"""What this surface answers of tasks, as models."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, JsonValue

from trunkline_gateway.dialects.orchestrator.answers import CLOSED

Object = dict[str, JsonValue]
Status = Literal["pending", "assigned", "in_progress", "completed", "failed", "cancelled"]
ApprovalStatus = Literal["pending", "approved", "rejected", "withdrawn"]


class Sla(BaseModel):
    """What was promised. `target` in seconds."""

    model_config = CLOSED

    target: float
    deadline: AwareDatetime
    breached: bool


class Result(BaseModel):
    """What an agent left behind; all of a change are null of one that worked without a repository."""

    model_config = CLOSED

    branch: str | None
    commit: str | None
    pull_request: int | None
    pull_request_url: str | None
    files_changed: int | None
    additions: int | None
    deletions: int | None
    summary: str
    outcome: JsonValue = None
    """What the handler of an agent on NATS returned, secrets struck out; only there of one. Left out of a page where it is long."""


class Spent(BaseModel):
    """What its models used so far, as it was counted on the way to them; null: none answered that Trunkline carries there."""

    model_config = CLOSED

    usd: float | None
    """Null too where the price of one of them is not known."""
    limit_usd: float | None
    """What they might cost when one answered last, with what people added; null: any amount, or none answered yet."""
    input_tokens: int | None
    output_tokens: int | None
    model: str | None
    """The last that answered."""


class TaskRule(BaseModel):
    """A rule of this task alone."""

    model_config = CLOSED

    tool: str
    argument: str
    then: Literal["ask", "deny"]
    reason: str


class Task(BaseModel):
    """A task. `assigned_agent` and `assigned_to` say the same."""

    model_config = CLOSED

    task_id: str
    type: str | None
    status: Status
    priority: str
    source: str | None
    payload: Object
    metadata: Object
    start_at: AwareDatetime | None
    """Before it nobody may take it; null: at once."""
    labels: dict[str, str]
    """What the body said of its sender (`source_agent`, `user_id`, `created_by`), and the `schedule` or the letter that it was made of
    (`requeued_from`); none gives a right."""
    assigned_agent: str | None
    assigned_to: str | None
    created_at: AwareDatetime
    started_at: AwareDatetime | None
    completed_at: AwareDatetime | None
    updated_at: AwareDatetime
    trace_id: str | None
    parent_task_id: str | None
    child_task_ids: list[str]
    retry_count: int
    max_retries: int
    budget_usd: float | None
    """As it was asked for; null: that of the settings."""
    tool_rules: list[TaskRule]
    """As they were asked for, on top of those of the settings; on a page at most ten."""
    error: str | None
    sla: Sla | None
    requires_approval: bool
    approval_id: str | None
    approval_status: ApprovalStatus | None
    """Null, where an approval is required: nobody is asked before the task may begin."""
    created_by: str
    waiting_for: str | None
    """tool_call, budget, push, pull_requests, paused or forge, while its run waits; place, while too many others are worked on."""
    waiting_approval_id: str | None
    """The approval that its run waits for."""
    paused: bool
    """Whether somebody wants its run to pause."""
    spent: Spent
    pull_request_state: Literal["open", "merged", "closed"] | None
    """As far as the forge said."""
    result: Result | None


class TaskCreated(BaseModel):
    """The three about approval are there when somebody must approve first."""

    model_config = CLOSED

    success: Literal[True]
    task_id: str
    message: str
    task: Task
    requires_approval: Literal[True] = True
    approval_id: str = ""
    approval_status: ApprovalStatus | None = "pending"
    """Null: nobody is asked before the task may begin, and until then there is nothing by that id."""


class TakenFrom(BaseModel):
    """Where a task goes on: as the earlier one was when this was kept."""

    model_config = CLOSED

    task_id: str
    event_id: str
    """The event that tells of the snapshot."""
    at: AwareDatetime
    snapshot: str
    """Empty: the repository as it was cloned, before the agent began."""
    conversation: bool
    """Whether there is one to go on with; else the agent is told what came of the earlier task."""


class TaskWentOn(TaskCreated):
    """A new task that goes on from another; that one stays as it ended."""

    model_config = CLOSED

    origin: TakenFrom


class TaskRead(BaseModel):
    model_config = CLOSED

    success: Literal[True]
    task_id: str
    task: Task


class TaskList(BaseModel):
    """`total` counts all that match; `next_cursor` is null on the last page."""

    model_config = CLOSED

    success: Literal[True]
    count: int
    total: int
    tasks: list[Task]
    next_cursor: str | None


class TaskMoved(BaseModel):
    model_config = CLOSED

    success: Literal[True]
    task_id: str
    status: Literal["in_progress", "completed", "failed"]


class TaskCancelled(BaseModel):
    """A run of ours is stopped first: then the status is still `in_progress`."""

    model_config = CLOSED

    success: Literal[True]
    task_id: str
    status: Status
    message: str
    task: Task
