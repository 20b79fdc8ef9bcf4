"""What an instance answers to: wishes of its agent and of people, and what happens around it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from trunkline.contracts.instance import (
    AskInput,
    InstanceStatus,
    MoveInstance,
    OpenInstance,
    ReadInstance,
    SayAsInstance,
    TellInstance,
)

InstanceWish = OpenInstance | SayAsInstance | TellInstance | AskInput | ReadInstance | MoveInstance


@dataclass(frozen=True, slots=True)
class Opening:
    """How an instance begins that is not there: the task for it is."""

    agent_type: str
    name: str
    transport: str
    owner: str
    status: InstanceStatus
    dispatched: bool = False
    """Trunkline started its agent, which has no need to register."""


@dataclass(frozen=True, slots=True)
class Wished:
    """A command, its caller's subject as the key of this instance has it, and for how long a repeat counts as one."""

    wish: InstanceWish
    own: str
    repeat: timedelta
    opening: Opening | None = None
    """How it begins where it is not there; None: it must be."""
    text: str = ""
    """Of the message that input is asked on, where that is not the newest."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What people decided about the question of a message. No text: nothing is told."""

    message_id: str
    approval_id: str
    told_id: str
    """The id of the message that it becomes."""
    text: str
    by: str


@dataclass(frozen=True, slots=True)
class Silent:
    """Nothing was heard since `since`, heartbeats included. Without a `sign` that is only since when nobody knows."""

    since: datetime
    sign: bool
    now: datetime
    stale: timedelta
    lost: timedelta


@dataclass(frozen=True, slots=True)
class TaskEnded:
    """Its task is over, for whatever reason."""

    status: InstanceStatus
    why: str


InstanceCue = Opening | Wished | Decided | Silent | TaskEnded
