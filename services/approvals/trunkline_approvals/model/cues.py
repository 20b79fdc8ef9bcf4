"""What can happen to an approval from outside, and where its facts and its timers lie."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Literal, Protocol

from trunkline.contracts import subjects
from trunkline.contracts.approval import DecideApproval, RequestApproval
from trunkline.contracts.errors import Invalid
from trunkline.contracts.ids import TaskId, TenantId, Token
from trunkline.contracts.message import Command
from trunkline_approvals.model.rules import Rule

_ID_ROOM = 64 - len(subjects.approval_part("x")) + 1


class ExpireApproval(Command):
    """The clock's word, set before the stage that it ends was stored; its `at` is the moment of expiry, however late it arrives."""

    type: Literal["expire"] = "expire"
    approval_id: Token
    task_id: Token
    stage: int = 0
    """Which stage's time is up; one that is not the current stage's does nothing."""
    looks: int = 0
    """How often it came before and did not find what it ends."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Somebody asks, and these are the rules for it as they stand now."""

    request: RequestApproval
    rule: Rule


@dataclass(frozen=True, slots=True)
class TimeUp:
    """A timer came. A next stage's time counts from `now`, so that a long standstill does not use it up."""

    wake: ExpireApproval
    now: datetime


@dataclass(frozen=True, slots=True)
class Withdraw:
    """What was asked about, or was about to be, will not happen any more."""

    tenant: str
    task_id: str
    approval_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The agent that asked for input was told something: that is the answer, also where nobody decided it here."""

    tenant: str
    task_id: str
    approval_id: str
    text: str
    by: str


Cue = Ask | DecideApproval | TimeUp | Withdraw | Answered


class Named(Protocol):
    """Whatever says which approval it is about."""

    @property
    def tenant(self) -> str: ...

    @property
    def task_id(self) -> str: ...

    @property
    def approval_id(self) -> str: ...


def place(about: Named) -> str:
    """The subject on which the facts of one approval lie. Raises Invalid when the id leaves no room for it."""
    if len(about.approval_id) > _ID_ROOM:
        raise Invalid(f"an approval id has at most {_ID_ROOM} characters", code="BAD_APPROVAL_ID")
    return subjects.event(TenantId(about.tenant), TaskId(about.task_id), subjects.approval_part(about.approval_id))


def timer_id(wake: ExpireApproval) -> str:
    """One name per approval, stage and moment; approvals of the same name on two tasks have timers of their own."""
    said = f"{wake.tenant}/{wake.task_id}/{wake.approval_id}/{wake.stage}/{wake.at.timestamp():.6f}"
    return sha256(said.encode()).hexdigest()[:32]
