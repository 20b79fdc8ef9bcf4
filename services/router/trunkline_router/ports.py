"""What the router needs from the world."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from trunkline.bus import WorkItem
from trunkline.contracts.ids import Token
from trunkline.contracts.message import Message


class DueTask(Message):
    """What a timer of the router carries."""

    tenant: Token
    task: Token
    attempt: int = 0


class Timers(Protocol):
    """Alarms that survive everything; setting one again replaces it."""

    async def deadline(self, due: DueTask, at: datetime) -> None: ...

    async def retry(self, due: DueTask, at: datetime) -> None: ...

    async def stop(self, due: DueTask, at: datetime) -> None: ...

    async def forget(self, task: str) -> None:
        """No alarm of this task matters any more."""
        ...


class Queue(Protocol):
    """Where released work waits for hands; putting it twice puts it once."""

    async def put(self, item: WorkItem) -> None: ...
