"""A task is held, ends while something of it waits to be decided, or is in the hands of an agent on the bus that asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, Protocol

import structlog

from trunkline.bus import Stored
from trunkline.contracts import subjects
from trunkline.contracts.message import Accepted
from trunkline.contracts.run import ApprovalDropped, ApprovalWanted
from trunkline.contracts.task import TaskCancelled, TaskFailed, TaskHeld, TaskHoldDropped
from trunkline_approvals.model import Withdraw, place
from trunkline_approvals.ports import Approvals

log = structlog.get_logger()

NEWS: Final = (TaskHeld, TaskHoldDropped, TaskFailed, TaskCancelled, ApprovalWanted, ApprovalDropped)
"""The facts of a task that concern approvals. One that succeeded had a run that said so, or says itself what it drops."""


class Runs(Protocol):
    """What runs ask."""

    async def on(self, stored: Stored) -> None: ...

    async def ended(self, tenant: str, task: str, attempt: int | None = None) -> None: ...


class TaskNews:
    def __init__(
        self,
        approvals: Approvals,
        ask_for_release: Callable[[str, str], Awaitable[Accepted]],
        runs: Runs,
        now: Callable[[], datetime],
    ) -> None:
        self._approvals = approvals
        self._ask_for_release = ask_for_release
        self._runs = runs
        self._now = now

    async def on(self, stored: Stored) -> None:
        """Raises Unavailable."""
        tenant, task, _ = subjects.parse_event(stored.subject)
        await self._runs.on(stored)  # what an agent on the bus asks, as a run would
        for fact in stored.record.facts:
            match fact:
                case TaskHeld():
                    await self._ask_for_release(tenant, task)
                case TaskHoldDropped():
                    await self._withdraw(Withdraw(tenant, task, fact.approval_id, "the task is over"))
                case TaskFailed() | TaskCancelled():  # also where nobody was left who could have said that the run is over
                    await self._runs.ended(tenant, task)
                case _:
                    pass

    async def _withdraw(self, cue: Withdraw) -> None:
        outcome = await self._approvals.receive(place(cue), cue, self._now(), "task.hold_dropped")
        if outcome.facts:
            log.info("approvals.withdrawn", tenant=cue.tenant, task=cue.task_id, approval=cue.approval_id)
