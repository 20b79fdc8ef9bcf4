"""What this surface answers of approvals, as models."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, JsonValue

from trunkline_gateway.dialects.orchestrator.answers import CLOSED
from trunkline_gateway.dialects.orchestrator.answers_tasks import ApprovalStatus


class Voter(BaseModel):
    model_config = CLOSED

    by: str
    decision: Literal["approved", "rejected"]
    at: AwareDatetime
    reason: str


class RuleHeld(BaseModel):
    model_config = CLOSED

    tool: str
    argument: str


class AllowanceHeld(BaseModel):
    """What those who agree mean beyond yes."""

    model_config = CLOSED

    scope: Literal["once", "run"]
    rule: RuleHeld | None
    input: dict[str, JsonValue] | None
    usd: float | None
    answer: str | None


class Approval(BaseModel):
    """An approval. The last eight stand there once it is decided, as it was decided.

    `about` is what a run asks about: of a tool call its `tool`, `input`, `argument`, the `rule` that asked; of an agent that wants
    input its `question`; and what a yes may hold (`offers`: once, run, rewrite, usd, answer). In a list it is
    `{"left_out": characters}` where it is long. It is null for the start of a task.
    """

    model_config = CLOSED

    approval_id: str
    task_id: str
    task_type: str | None
    priority: str | None
    reason: str
    status: ApprovalStatus
    created_at: AwareDatetime
    requested_at: AwareDatetime
    requested_by: str
    expires_at: AwareDatetime | None
    kind: str
    subject: str
    digest: str
    about: dict[str, JsonValue] | None
    quorum: int
    votes: int
    voters: list[Voter]
    allowance: AllowanceHeld | None
    stage: int
    overdue: bool
    decided_by: Literal["human", "policy", "timeout"] | None = None
    decided_at: AwareDatetime | None = None
    decision_reason: str | None = None
    approved_by: str | None = None
    approved_at: AwareDatetime | None = None
    rejected_by: str | None = None
    rejected_at: AwareDatetime | None = None
    rejection_reason: str | None = None


class ApprovalRead(BaseModel):
    model_config = CLOSED

    success: Literal[True]
    approval: Approval


class ApprovalList(BaseModel):
    """The oldest first."""

    model_config = CLOSED

    success: Literal[True]
    count: int
    total: int
    approvals: list[Approval]
    next_cursor: str | None


class ApprovalHistory(BaseModel):
    """The last decided first."""

    model_config = CLOSED

    success: Literal[True]
    count: int
    total: int
    history: list[Approval]
    next_cursor: str | None


class Decided(BaseModel):
    """The last three stand there when more people must agree, or when this one is no longer the last word; else it is as was asked."""

    model_config = CLOSED

    success: Literal[True]
    approval_id: str
    message: str
    status: ApprovalStatus | None = None
    votes: int | None = None
    quorum: int | None = None
