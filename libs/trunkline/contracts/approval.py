"""The approval: a question put to people, bound to the exact thing asked, and answered by them, by a rule or by the clock."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from trunkline.contracts.calls import Allowance
from trunkline.contracts.ids import Token
from trunkline.contracts.message import Command, Fact, Message

RELEASE = "release"
"""The name, within its task, of the approval that lets a task begin."""


class Verdict(StrEnum):
    APPROVED = "approved"
    REJECTED = "rejected"


class DecidedBy(StrEnum):
    HUMAN = "human"
    POLICY = "policy"
    TIMEOUT = "timeout"


class OnExpiry(StrEnum):
    """What becomes of an approval that nobody decided in time."""

    REJECT = "reject"
    APPROVE = "approve"
    HOLD = "hold"
    """It stays open, and says that it is overdue."""
    ESCALATE = "escalate"
    """The next stage is asked; after the last one it is rejected."""


class FourEyes(StrEnum):
    """Whether somebody else than the requester must decide."""

    ON = "on"
    """Yes, but an admin may decide their own."""
    STRICT = "strict"
    OFF = "off"


class Stage(Message):
    """Who is asked, how many of them must agree, and for how long they have time."""

    roles: tuple[str, ...] = ("admin", "agent", "approver")
    names: tuple[str, ...] = ()
    """Subjects that may decide whatever their role."""
    quorum: int = Field(default=1, ge=1, le=50)
    """How many different people must approve."""
    expires_s: float | None = Field(default=86400.0, gt=0)
    """Seconds; None waits for ever."""
    notify: tuple[str, ...] = ()
    """Whom to tell, in words that the receivers of events understand."""


class ApprovalPolicy(Message):
    """The rules under which one approval is asked for; kept with it, so that later rules do not change it."""

    name: str = "default"
    first: Stage = Stage()
    veto: bool = True
    """One rejection is enough; else as many are needed as approvals."""
    four_eyes: FourEyes = FourEyes.ON
    on_expiry: OnExpiry = OnExpiry.REJECT
    escalation: tuple[Stage, ...] = ()
    """Who is asked next, and next, when `on_expiry` is escalate."""


class RequestApproval(Command):
    """Ask. Repeating it with the same id changes nothing."""

    type: Literal["request"] = "request"
    approval_id: Token
    """Its name within the task."""
    task_id: Token
    kind: str = "custom"
    """What sort of act it is: `task` lets a task begin, `tool_call` a running agent go on."""
    subject: str
    """What is to be allowed, as a sentence."""
    digest: str
    """SHA-256 (hex) of the exact act; a decision on any other digest is refused."""
    requested_by: str
    about: dict[str, JsonValue] = {}
    """What the rules go by, and what people are shown."""
    expires_at: datetime | None = None
    """Earlier than the policy says; never later."""


class OpenApproval(Command):
    """Make sure that what a held task waits for is asked. Changes nothing when it is."""

    type: Literal["open"] = "open"
    task_id: Token


class DecideApproval(Command):
    """One person's decision. Repeating it with the same decision id changes nothing."""

    type: Literal["decide"] = "decide"
    approval_id: Token
    task_id: Token
    decision_id: Token = "-"
    """Minted with the wish: tells a repeat of one decision from a second one."""
    verdict: Verdict
    digest: str | None = None
    """Of what the person was shown; None: of whatever was asked under this id."""
    by: str
    role: str = ""
    reason: str = ""
    allowance: Allowance | None = None
    """What the yes holds beyond yes."""


class ApprovalAnswer(Message):
    """How an approval stands after a command: the body of the owner's answer."""

    approval_id: str
    task_id: str
    status: str
    """pending, approved, rejected or withdrawn."""
    votes: int = 0
    """How many agree so far."""
    quorum: int = 1


class ApprovalRequested(Fact):
    type: Literal["approval.requested"] = "approval.requested"
    approval_id: str
    kind: str = "custom"
    subject: str
    digest: str
    requested_by: str
    about: dict[str, JsonValue] = {}
    policy: ApprovalPolicy = ApprovalPolicy()
    expires_at: datetime | None = None


class ApprovalVoted(Fact):
    """Somebody decided, and more are needed."""

    type: Literal["approval.voted"] = "approval.voted"
    approval_id: str
    verdict: Verdict
    by: str
    role: str = ""
    reason: str = ""
    decision_id: str = ""
    allowance: Allowance | None = None
    """What the yes holds beyond yes."""


class ApprovalEscalated(Fact):
    """Nobody decided in time: others are asked. `stage` counts from 1."""

    type: Literal["approval.escalated"] = "approval.escalated"
    approval_id: str
    stage: int
    notify: tuple[str, ...] = ()
    expires_at: datetime | None = None


class ApprovalOverdue(Fact):
    """The time is over, and the question stays open by its policy."""

    type: Literal["approval.overdue"] = "approval.overdue"
    approval_id: str


class ApprovalDecided(Fact):
    type: Literal["approval.decided"] = "approval.decided"
    approval_id: str
    verdict: Verdict
    decided_by: DecidedBy
    by: str
    """Whoever decided last; `timeout` or the policy's name where no person did."""
    reason: str = ""
    digest: str = ""
    """What was decided about."""
    role: str = ""
    decision_id: str = ""
    allowance: Allowance | None = None
    """What the yes holds beyond yes."""


class ApprovalWithdrawn(Fact):
    """What was asked about will not happen any more: nobody has to decide."""

    type: Literal["approval.withdrawn"] = "approval.withdrawn"
    approval_id: str
    reason: str = ""


ApprovalFact = Annotated[
    ApprovalRequested | ApprovalVoted | ApprovalEscalated | ApprovalOverdue | ApprovalDecided | ApprovalWithdrawn,
    Field(discriminator="type"),
]
