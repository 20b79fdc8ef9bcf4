"""Approvals, as the orchestrator surface answers them."""

from __future__ import annotations

from datetime import datetime

from pydantic import JsonValue

from trunkline.sdk.models import Shape

Object = dict[str, JsonValue]


class Voter(Shape):
    by: str
    decision: str
    at: datetime
    reason: str = ""


class Rule(Shape):
    tool: str
    argument: str


class Allowance(Shape):
    """What those who agree mean beyond yes."""

    scope: str = "once"
    rule: Rule | None = None
    input: Object | None = None
    usd: float | None = None
    answer: str | None = None


class Approval(Shape):
    """An approval. `status` is pending, approved, rejected or withdrawn; `decided_by` human, policy or timeout.

    `about` is what a run asks about: of a tool call its `tool`, `input`, `argument`, of an agent's question its `question`, and in
    `offers` what a yes may hold. `digest` is of exactly what is shown: handed back with a decision, it keeps that decision from meaning
    anything else.
    """

    approval_id: str
    task_id: str
    status: str
    task_type: str | None = None
    priority: str | None = None
    reason: str = ""
    requested_at: datetime | None = None
    requested_by: str = ""
    expires_at: datetime | None = None
    kind: str = ""
    subject: str = ""
    digest: str = ""
    about: Object | None = None
    quorum: int = 1
    votes: int = 0
    voters: tuple[Voter, ...] = ()
    allowance: Allowance | None = None
    stage: int = 0
    overdue: bool = False
    decided_by: str | None = None
    decided_at: datetime | None = None
    decision_reason: str | None = None
    approved_by: str | None = None
    rejected_by: str | None = None


class ApprovalAnswer(Shape):
    approval: Approval


class PendingList(Shape):
    approvals: tuple[Approval, ...]
    total: int
    next_cursor: str | None = None


class HistoryList(Shape):
    history: tuple[Approval, ...]
    total: int
    next_cursor: str | None = None


class Decided(Shape):
    """How the approval stands after this word: pending, approved, rejected or withdrawn.

    Where several must agree, `status` stays pending until `votes` are `quorum`; both are None where this word was the last that was needed.
    """

    approval_id: str
    status: str = ""
    message: str = ""
    votes: int | None = None
    quorum: int | None = None
