"""How a decision lies in the log: one message, its facts in order, readable by older and newer versions."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from pydantic import SerializeAsAny, field_validator
from pydantic_core import from_json

from trunkline.contracts.approval import (
    ApprovalDecided,
    ApprovalEscalated,
    ApprovalOverdue,
    ApprovalRequested,
    ApprovalVoted,
    ApprovalWithdrawn,
)
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.dispatch import (
    DispatchGivenUp,
    DispatchTried,
    DispatchWanted,
    InstanceKeyRevoked,
    WorkflowCancelTried,
    WorkflowRunSeen,
    WorkflowRunTold,
)
from trunkline.contracts.forge import PullRequestEnded
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.image import ImageBuilt, ImageFailed, ImageInvalidated, ImageSaid, ImageWanted
from trunkline.contracts.instance import (
    InstanceAsked,
    InstanceDiffed,
    InstanceMoved,
    InstanceOpened,
    InstanceRead,
    InstanceSaid,
    InstanceTold,
)
from trunkline.contracts.lease import TaskAnswered, TaskLeased, TaskLeaseOver
from trunkline.contracts.message import Fact, Message, UnknownFact
from trunkline.contracts.room import RoomAwaited, RoomCounted, RoomEntered, RoomLeft
from trunkline.contracts.run import (
    AgentChecked,
    AgentEnded,
    AgentInterrupted,
    AgentOutput,
    AgentStarted,
    ApprovalDropped,
    ApprovalWanted,
    BranchPushed,
    BudgetRaised,
    CallAnswered,
    ChangesCommitted,
    PhaseBegan,
    PullRequestOpened,
    PushJudged,
    RepositoryCloned,
    RuleGranted,
    RunClaimed,
    RunFailed,
    RunGoesOn,
    RunParked,
    RunStopped,
    RunSucceeded,
    RunWaits,
    RunWoken,
    SandboxReady,
    SnapshotKept,
    SnapshotMissed,
)
from trunkline.contracts.sandbox import (
    SandboxBroke,
    SandboxDeleteWanted,
    SandboxFound,
    SandboxIsDeleted,
    SandboxIsReady,
    SandboxIsStopped,
    SandboxMade,
    SandboxPreferred,
    SandboxStartWanted,
    SandboxStopWanted,
    SandboxTouched,
    SandboxUsed,
    SandboxWanted,
)
from trunkline.contracts.spend import ModelAnswered
from trunkline.contracts.steering import (
    InboxClosed,
    MessageDelivered,
    MessageEdited,
    MessageQueued,
    MessageReturned,
    MessagesReordered,
    MessageTaken,
    MessageWithdrawn,
    RunSteered,
)
from trunkline.contracts.task import (
    EventPublished,
    TaskAssigned,
    TaskCancelled,
    TaskChildAdded,
    TaskFailed,
    TaskGoesOn,
    TaskHeld,
    TaskHoldDropped,
    TaskReleased,
    TaskRetryScheduled,
    TaskSlaBreached,
    TaskStarted,
    TaskStopRequested,
    TaskSubmitted,
    TaskSucceeded,
    TaskWaits,
)
from trunkline.contracts.task_waiting import TaskAwaitsPlace, TaskDelayed, TaskPlaceGiven

FACTS: tuple[type[Fact], ...] = (
    TaskSubmitted, TaskAssigned, TaskStarted, TaskRetryScheduled, TaskStopRequested, TaskSucceeded, TaskFailed, TaskCancelled,
    RunClaimed, PhaseBegan, SandboxReady, RepositoryCloned, AgentStarted, AgentEnded, ChangesCommitted, BranchPushed,
    PullRequestOpened, RunSucceeded, RunFailed, RunStopped, AgentOutput, ApprovalRequested, ApprovalDecided,
    TaskHeld, TaskReleased, TaskHoldDropped, TaskSlaBreached, TaskChildAdded, EventPublished, ApprovalVoted, ApprovalEscalated,
    ApprovalOverdue, ApprovalWithdrawn,
    TaskWaits, TaskGoesOn, ApprovalWanted, ApprovalDropped, CallAnswered, RuleGranted, RunWaits, RunGoesOn, RunParked, RunWoken,
    AgentInterrupted, BudgetRaised, PushJudged, MessageQueued, MessageEdited, MessageWithdrawn, MessagesReordered, MessageDelivered,
    MessageTaken, RunSteered, InboxClosed, ModelAnswered, PullRequestEnded, SnapshotKept,
    MessageReturned, SnapshotMissed, AgentChecked,
    SandboxWanted, SandboxMade, SandboxIsReady, SandboxStopWanted, SandboxIsStopped, SandboxStartWanted, SandboxDeleteWanted,
    SandboxIsDeleted, SandboxBroke, SandboxFound, SandboxUsed, SandboxTouched, SandboxPreferred,
    ImageWanted, ImageSaid, ImageBuilt, ImageFailed, ImageInvalidated,
    InstanceOpened, InstanceSaid, InstanceTold, InstanceAsked, InstanceRead, InstanceMoved, InstanceDiffed,
    DispatchWanted, DispatchTried, WorkflowRunSeen, WorkflowRunTold, DispatchGivenUp, WorkflowCancelTried, InstanceKeyRevoked,
    TaskLeased, TaskLeaseOver, TaskAnswered,
    TaskDelayed, TaskAwaitsPlace, TaskPlaceGiven, RoomEntered, RoomAwaited, RoomLeft, RoomCounted,
)  # fmt: skip
"""Every fact that was ever released. Nothing is taken away from here."""

_BY_TYPE = {fact.model_fields["type"].default: fact.__pydantic_validator__.validate_python for fact in FACTS}


def read_fact(body: Mapping[str, Any]) -> Fact:
    """The fact that `body` is; a type of a newer version reads as UnknownFact."""
    kind = str(body.get("type", ""))
    known = _BY_TYPE.get(kind)
    read: Fact = known(body) if known else UnknownFact(type=kind, body=dict(body))
    return read


class Record(Message):
    """One decision as stored: at least one fact, and why they came to be."""

    at: datetime
    cause: str = ""
    """What led to it: a command's verb, or the event id of the fact that was answered."""
    facts: tuple[SerializeAsAny[Fact], ...]

    @cached_property
    def body(self) -> bytes:
        """As it is stored."""
        return self.written()

    @field_validator("facts", mode="before")
    @classmethod
    def _read(cls, facts: Any) -> tuple[Fact, ...]:
        if not isinstance(facts, (list, tuple)):
            raise ValueError("facts are a list")
        return tuple(fact if isinstance(fact, Fact) else read_fact(fact) for fact in facts)


def read_told(body: bytes, types: Container[str] | None = None) -> tuple[datetime, list[Fact]]:
    """When, and what happened, of a record as it is stored: all that a timeline tells of it, in half the time that the whole takes.

    Facts of other `types` are left out where some are named.
    """
    told = from_json(body)
    return datetime.fromisoformat(told["at"]), [read_fact(fact) for fact in told["facts"] if types is None or fact["type"] in types]


@dataclass(frozen=True, slots=True)
class Event:
    """One fact at its place on the timeline of its task."""

    cursor: Cursor
    tenant: TenantId
    task: TaskId
    part: str
    at: datetime
    fact: Fact


class Told(NamedTuple):
    """What one record says, at its place on the timeline of its task."""

    cursor: Cursor
    """Of its first fact."""
    tenant: TenantId
    task: TaskId
    part: str
    at: datetime
    facts: Sequence[Fact]

    def events(self) -> list[Event]:
        """Each fact by itself; to be asked only where none was left out."""
        places = (Cursor(self.cursor.epoch, self.cursor.seq, index) for index in range(len(self.facts)))
        return [Event(place, self.tenant, self.task, self.part, self.at, fact) for place, fact in zip(places, self.facts, strict=True)]


@dataclass(frozen=True, slots=True)
class Gap:
    """The log no longer holds what lies between the cursor asked for and `first`."""

    asked: Cursor
    first: Cursor
