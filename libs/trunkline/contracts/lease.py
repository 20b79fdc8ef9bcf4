"""A task in the hands of an agent on NATS: the facts of its lease, which lie among those of the task."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from trunkline.contracts.message import Fact


class TaskLeased(Fact):
    """An agent on the bus has it in hand: nobody else may say anything about it while the lease lasts."""

    type: Literal["task.leased"] = "task.leased"
    attempt: int
    lease: str
    by: str
    session: str = ""
    """Which of the agent's processes."""
    until: datetime
    """Unless a beat comes before."""
    trace: str = ""
    """The `traceparent` of what gave it, where a trace came with the work: what the agent does is a part of that."""
    begun: bool = False
    """The work began with it, by what the claim wished; the agent did not say so itself."""


class LeaseEnd(StrEnum):
    RELEASED = "released"
    """The agent handed it back."""
    EXPIRED = "expired"
    """Nothing was heard of the agent."""


class TaskLeaseOver(Fact):
    """The lease ended before the work did. What ends the work ends its lease too, and needs no such fact."""

    type: Literal["task.lease_over"] = "task.lease_over"
    attempt: int
    lease: str
    by: str
    why: LeaseEnd


class TaskAnswered(Fact):
    """What its agent had asked is decided, and is told to it now."""

    type: Literal["task.answered"] = "task.answered"
    approval_id: str
