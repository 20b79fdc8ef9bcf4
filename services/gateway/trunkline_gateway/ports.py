"""What the gateway needs from the world: owners that answer, timelines that can be followed, and who is ready."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from trunkline.contracts.cursor import Cursor
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Accepted, Command
from trunkline.contracts.record import Event, Gap


class Commands(Protocol):
    """The way to every owner."""

    async def send(self, service: str, id: str, command: Command, *, timeout: float = 10.0) -> Accepted:
        """The owner's answer. Raises the owner's refusal, or Unavailable when none answers within `timeout` seconds."""
        ...


class Feed(Protocol):
    """The timelines of tasks."""

    def follow(self, tenant: TenantId, task: TaskId, after: Cursor | None, end: int | None) -> AsyncIterator[Event | Gap]:
        """Everything beyond `after`, then what comes, to the record with sequence `end` or for ever; in exact order, without gap or repeat.

        A cursor of another epoch, or of what is not kept, gives one Gap and then the whole of what there is.
        """
        ...


class Readiness(Protocol):
    """Who would answer right now."""

    async def services(self) -> Mapping[str, bool]:
        """Every service by name; takes about a second at most."""
        ...

    def bus(self) -> bool: ...
