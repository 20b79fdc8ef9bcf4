"""The approval: a question that only a person, or the clock, may answer, bound to the exact thing asked."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from trunkline.contracts.ids import Token
from trunkline.contracts.message import Command, Fact


class Verdict(StrEnum):
    APPROVED = "approved"
    REJECTED = "rejected"


class DecidedBy(StrEnum):
    HUMAN = "human"
    TIMEOUT = "timeout"


class RequestApproval(Command):
    """Ask. Repeating it with the same id changes nothing."""

    type: Literal["request"] = "request"
    approval_id: Token
    task_id: Token
    subject: str
    """What is to be allowed, as a sentence."""
    digest: str
    """SHA-256 (hex) of the exact act; a decision on any other digest is refused."""
    requested_by: str
    expires_at: datetime | None = None


class DecideApproval(Command):
    type: Literal["decide"] = "decide"
    approval_id: Token
    task_id: Token
    verdict: Verdict
    digest: str
    by: str
    reason: str = ""


class ApprovalRequested(Fact):
    type: Literal["approval.requested"] = "approval.requested"
    approval_id: str
    subject: str
    digest: str
    requested_by: str
    expires_at: datetime | None = None


class ApprovalDecided(Fact):
    type: Literal["approval.decided"] = "approval.decided"
    approval_id: str
    verdict: Verdict
    decided_by: DecidedBy
    by: str
    reason: str = ""


ApprovalFact = Annotated[ApprovalRequested | ApprovalDecided, Field(discriminator="type")]
