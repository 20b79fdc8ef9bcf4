"""What the router needs from the world."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from pydantic import model_validator

from trunkline.bus import WorkItem
from trunkline.contracts import subjects
from trunkline.contracts.forge import ReportPullRequest
from trunkline.contracts.ids import TaskId, TenantId, Token
from trunkline.contracts.message import Message


class DueTask(Message):
    """One task of one tenant; what a timer of the router carries."""

    tenant: Token
    task: Token
    attempt: int = 0

    @property
    def subject(self) -> str:
        """Where its facts are."""
        return subjects.event(TenantId(self.tenant), TaskId(self.task), subjects.TASK)


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


class Queue(Protocol):
    """Where released work waits for hands; putting it twice puts it once."""

    async def put(self, item: WorkItem) -> None: ...
