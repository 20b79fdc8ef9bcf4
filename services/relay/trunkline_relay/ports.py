"""What the relay needs from the world: the log to read, and a place for views that may be thrown away at any time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Protocol

from trunkline.contracts.record import Record
from trunkline.contracts.views import ListTasks, TaskPage, TaskView


class Stored(Protocol):
    """One message of the log; its record is read from bytes only when asked for."""

    @property
    def seq(self) -> int: ...

    @property
    def subject(self) -> str: ...

    @property
    def record(self) -> Record: ...


class Log(Protocol):
    """Everything that happened, in one order."""

    def follow(self, after: int) -> AsyncIterator[Stored]:
        """Every message with a sequence beyond `after`, in order, for ever, none skipped."""
        ...

    async def last_seq(self) -> int:
        """The sequence of the last message there is now, 0 when there is none. Raises DomainError when nobody knows."""
        ...


class Views(Protocol):
    """The newest view of every task, and how far in the log that is."""

    @property
    def checkpoint(self) -> int:
        """The last sequence that these views hold."""
        ...

    def task(self, tenant: str, name: str) -> TaskView | None:
        """The task of a tenant, by id or by alias."""
        ...

    def page(self, query: ListTasks) -> TaskPage:
        """The tasks of a tenant that match, newest first."""
        ...

    def keep(self, changed: Iterable[TaskView], checkpoint: int) -> None:
        """Replace views and move the checkpoint, both or neither."""
        ...
