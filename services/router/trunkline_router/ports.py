"""What the router needs from the world."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from trunkline.bus import WorkItem
from trunkline.contracts import subjects
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


class Timers(Protocol):
    """Alarms that survive everything; setting one again replaces it."""

    async def deadline(self, due: DueTask, at: datetime) -> None: ...

    async def sla(self, due: DueTask, at: datetime) -> None: ...

    async def retry(self, due: DueTask, at: datetime) -> None: ...

    async def stop(self, due: DueTask, at: datetime) -> None: ...

    async def forget(self, due: DueTask, *, sla: bool) -> None:
        """No alarm of this task matters any more; `sla`: it has one of that kind."""
        ...


class Queue(Protocol):
    """Where released work waits for hands; putting it twice puts it once."""

    async def put(self, item: WorkItem) -> None: ...
