"""What the gateway needs from the world: owners that answer, timelines that can be followed, and who is ready."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Timeline:
    """What happened to one task, and happens; `end` is the sequence of the record that ended it, if one did."""

    tenant: TenantId
    task: TaskId
    end: int | None = None


class Feed(Protocol):
    """The timelines of tasks."""

    async def find(self, tenant: TenantId, task: TaskId) -> Timeline | None:
        """As the log has it at this moment; nothing when it holds nothing of such a task."""
        ...

    def follow(self, timeline: Timeline, after: Cursor | None) -> AsyncIterator[Event | Gap]:
        """Everything beyond `after`, then what comes, to the task's end or for ever; in exact order, without gap or repeat.

        A cursor of another epoch, or of what is not kept, gives one Gap and then the whole of what there is.
        """
        ...


class Readiness(Protocol):
    """Who would answer right now."""

    async def services(self) -> Mapping[str, bool]:
        """Every service by name; takes about a second at most."""
        ...

    def bus(self) -> bool: ...
