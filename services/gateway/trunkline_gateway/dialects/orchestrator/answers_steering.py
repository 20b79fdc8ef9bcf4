"""What this surface answers of messages to agents, as models."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel

from trunkline_gateway.dialects.orchestrator.answers import CLOSED


class QueuedMessage(BaseModel):
    """A message to an agent: delivered when the run has seen it, taken when the agent has it; until then it may be changed."""

    model_config = CLOSED

    message_id: str
    text: str
    cut: bool
    """The text is longer than what is shown; its events hold all of it."""
    by: str
    state: Literal["queued", "delivered", "taken", "withdrawn"]
    edits: int
    queued_at: AwareDatetime
    delivered_at: AwareDatetime | None
    taken_at: AwareDatetime | None


class MessageQueue(BaseModel):
    """Those that wait in their order, then the others, the newest first; a hundred at most."""

    model_config = CLOSED

    success: Literal[True]
    task_id: str
    count: int
    waiting: int
    messages: list[QueuedMessage]
    paused: bool
    closed: bool
    """Nothing that is said now would reach the agent."""


class MessageSaid(BaseModel):
    """It is on disk. Its receipts are on the timeline of the task."""

    model_config = CLOSED

    success: Literal[True]
    task_id: str
    message: str
    message_id: str


class MessagesOrdered(BaseModel):
    model_config = CLOSED

    success: Literal[True]
    task_id: str
    message: str
    message_ids: list[str]


class Steered(BaseModel):
    """The wish is on disk; what comes of it is told on the timeline of the task."""

    model_config = CLOSED

    success: Literal[True]
    task_id: str
    message: str
    action: Literal["interrupt", "pause", "resume"]
