"""What the router needs from the world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import datetime
from typing import Protocol

from pydantic import model_validator

from trunkline.bus import Stored, WorkItem
from trunkline.bus.beats import Sign
from trunkline.contracts import subjects
from trunkline.contracts.forge import ReportPullRequest
from trunkline.contracts.ids import TaskId, TenantId, Token
from trunkline.contracts.instance import (
    AskInput,
    GetInstance,
    MoveInstance,
    OpenInstance,
    ReadInstance,
    SayAsInstance,
    SettleInput,
    TellInstance,
)
from trunkline.contracts.message import Accepted, Message
from trunkline.contracts.schedule import Schedule
from trunkline.contracts.task import Assignment


class DueTask(Message):
    """One task of one tenant; what a timer of the router carries."""

    tenant: Token
    task: Token
    attempt: int = 0
    beats: bool = False
    """Of an instance: it was heard to send heartbeats, so their absence means something."""
    lease: str = ""
    """Of an alarm about a lease: which."""
    blind: bool = False
    """Of an alarm about a lease: the one before could not know."""
    at: datetime | None = None
    """Of an alarm about a lease: when it was to ring."""
    trace: str = ""
    """Where it goes on from, as a header says it; of one that lies in one message with others, which has no header for each."""

    @property
    def subject(self) -> str:
        """Where its facts are."""
        return subjects.event(TenantId(self.tenant), TaskId(self.task), subjects.TASK)

    @property
    def instance(self) -> str:
        """Where the facts of its instance are."""
        return subjects.event(TenantId(self.tenant), TaskId(self.task), subjects.INSTANCE)


class DueTasks(Message):
    """Tasks that one alarm rings for."""

    tasks: tuple[DueTask, ...]

    @model_validator(mode="before")
    @classmethod
    def _of_one(cls, body: object) -> object:
        """An alarm that an earlier version set was for one task."""
        return body if not isinstance(body, dict) or "tasks" in body else {"tasks": [body]}


class DueRoom(Message):
    """A tenant of which some task waits for a place."""

    tenant: Token


class DueSchedule(Message):
    """One moment of one schedule."""

    tenant: Token
    schedule: Token
    at: datetime


class DuePull(Message):
    """News of a pull request that its task has not spoken of yet."""

    wish: ReportPullRequest
    tries: int = 0


class Timers(Protocol):
    """Alarms that survive everything. One that rings twice, or for a task that needs it no more, does no harm."""

    async def deadline(self, due: DueTask, at: datetime) -> None: ...

    async def sla(self, due: DueTask, at: datetime) -> None: ...

    async def retry(self, due: DueTask, at: datetime) -> None: ...

    async def stop(self, due: DueTask, at: datetime) -> None: ...

    async def pull(self, due: DuePull, at: datetime) -> None: ...

    async def instance(self, due: DueTask, at: datetime) -> None: ...

    async def lease(self, due: DueTask, at: datetime) -> None: ...

    async def place(self, due: DueRoom, at: datetime) -> None: ...

    async def schedule(self, due: DueSchedule, seq: int) -> None:
        """`seq`: of the record that waits for it."""
        ...


class Beats(Protocol):
    """Signs of life of agents that call home, and of those that hold a lease."""

    async def put(self, tenant: TenantId, task: TaskId, at: datetime) -> None: ...

    async def last(self, tenant: TenantId, task: TaskId) -> datetime | None:
        """When one was last alive; None: nobody knows. Raises Unavailable."""
        ...

    async def sign(self, tenant: TenantId, task: TaskId) -> Sign | None:
        """As `last`, and whether it sends heartbeats. Raises Unavailable."""
        ...


class Shelf(Protocol):
    """Where schedules lie, each with the sequence that fences it. Every call raises Unavailable."""

    async def load(self, tenant: str, schedule_id: str) -> tuple[Schedule | None, int]:
        """Also one that is deleted; 0 beside None."""
        ...

    async def all(self, tenant: str | None = None) -> Sequence[tuple[Schedule, int]]:
        """None: of all tenants."""
        ...

    async def store(self, schedule: Schedule, expect: int) -> int:
        """Raises Raced when another was first."""
        ...


class Places(Protocol):
    """Where only so many tasks may be worked on at once."""

    def concern(self, due: DueTask, assignment: Assignment) -> bool: ...

    async def enter(self, due: DueTask, assignment: Assignment) -> bool: ...

    async def leave(self, due: DueTask) -> None: ...


class Queue(Protocol):
    """Where released work waits for hands; putting it twice puts it once."""

    async def put(self, item: WorkItem, ttl_s: float | None = None) -> None:
        """`ttl_s`: what nobody took by then is gone; at least a second."""
        ...


class Handed(Protocol):
    """One released attempt, taken for a moment. What is neither done nor given back comes again by itself."""

    @property
    def item(self) -> WorkItem: ...

    @property
    def place(self) -> int:
        """In the queue; each time that it comes it is the same."""
        ...

    @property
    def times(self) -> int:
        """How often it was handed out, for whatever reason."""
        ...

    def watched(self) -> AbstractContextManager[object]:
        """For `with`: the time in which it is put into somebody's hands."""
        ...

    async def done(self) -> None: ...

    async def back(self, delay: float) -> None:
        """In so many seconds, for whoever asks then. Said again, what was said last counts."""
        ...

    async def failed(self, error: Exception) -> None:
        """It broke whoever looked at it: later again, until it is given up."""
        ...


class Handing(Protocol):
    async def next(self, hands: int = 1) -> Handed:
        """However long it takes. `hands` says how many are wanted soon: they may be fetched together."""
        ...

    def expect(self, lane: str) -> None:
        """Something comes back to the lane now: it is worth asking there."""
        ...


HandsOf = Callable[[TenantId, str], AbstractAsyncContextManager[Handing]]
"""The released work of one pool of one tenant."""


class Told(Protocol):
    """What an agent hears at once; it may be lost."""

    async def put(self, tenant: TenantId, name: str, what: str, body: Message) -> None: ...


class InstanceDoor(Protocol):
    """Every command to an instance. The bodies of the answers are what the contracts name beside each command."""

    async def open(self, wish: OpenInstance) -> Accepted: ...

    async def say(self, wish: SayAsInstance) -> Accepted: ...

    async def tell(self, wish: TellInstance) -> Accepted: ...

    async def ask(self, wish: AskInput) -> Accepted: ...

    async def read(self, wish: ReadInstance) -> Accepted: ...

    async def move(self, wish: MoveInstance) -> Accepted: ...

    async def settle(self, wish: SettleInput) -> Accepted: ...

    async def get(self, wish: GetInstance) -> Accepted: ...


class InstanceEar(Protocol):
    """What instances and dispatches say means something for their tasks; and silence does."""

    async def moved(self, stored: Stored) -> None: ...

    async def dispatched(self, stored: Stored) -> None: ...

    async def due(self, due: DueTasks) -> None: ...
