"""What the router needs from the world."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from pydantic import model_validator

from trunkline.bus import Stored, WorkItem
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


class DueTask(Message):
    """One task of one tenant; what a timer of the router carries."""

    tenant: Token
    task: Token
    attempt: int = 0
    beats: bool = False
    """Of an instance: it was heard to send heartbeats, so their absence means something."""

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


class Beats(Protocol):
    """Signs of life of agents that call home."""

    async def last(self, tenant: TenantId, task: TaskId) -> datetime | None:
        """When one was last alive; None: nobody knows. Raises Unavailable."""
        ...


class Queue(Protocol):
    """Where released work waits for hands; putting it twice puts it once."""

    async def put(self, item: WorkItem) -> None: ...


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
