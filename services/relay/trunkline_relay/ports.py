"""What the relay needs from the world: the log to read, and a place for views that may be thrown away at any time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from trunkline.contracts.approval_views import ApprovalPage, ApprovalView, ListApprovals
from trunkline.contracts.record import Record
from trunkline.contracts.usage import GetUsage, UsageView
from trunkline.contracts.views import GetTrace, ListTasks, TaskCounts, TaskPage, TaskView, TraceView
from trunkline_relay.model.changes import Changes


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
    """The newest view of everything, and how far in the log that is."""

    @property
    def checkpoint(self) -> int:
        """The last sequence that these views hold."""
        ...

    def task(self, tenant: str, name: str) -> TaskView | None:
        """The task of a tenant, by id or by alias."""
        ...

    def tasks(self, query: ListTasks) -> TaskPage:
        """The tasks of a tenant that match, in the order asked for. Raises Invalid for a cursor of another order."""
        ...

    def counts(self) -> TaskCounts:
        """Over all tenants; costs the same however many tasks there are."""
        ...

    def approval(self, tenant: str, task: str, name: str) -> ApprovalView | None:
        """One approval of a task of a tenant, by its name within the task."""
        ...

    def approvals(self, query: ListApprovals) -> ApprovalPage:
        """The approvals of a tenant that match. Raises Invalid for a cursor of another order."""
        ...

    def trace(self, query: GetTrace) -> TraceView:
        """What carries the trace id; empty when nothing does."""
        ...

    def usage(self, query: GetUsage) -> UsageView:
        """What the models of a tenant cost, the newest day first."""
        ...

    def keep(self, changes: Changes, checkpoint: int) -> None:
        """Replace views and move the checkpoint, both or neither."""
        ...
