"""A task is held, or ends while something of it waits to be decided."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

import structlog

from trunkline.bus import Stored
from trunkline.contracts import subjects
from trunkline.contracts.message import Accepted
from trunkline.contracts.task import TaskCancelled, TaskFailed, TaskHeld, TaskHoldDropped
from trunkline_approvals.model import Withdraw, place
from trunkline_approvals.ports import Approvals

log = structlog.get_logger()

NEWS: Final = (TaskHeld, TaskHoldDropped, TaskFailed, TaskCancelled)
"""The facts of a task that concern approvals. One that succeeded had a run that said so."""


class TaskNews:
    def __init__(
        self,
        approvals: Approvals,
        ask_for_release: Callable[[str, str], Awaitable[Accepted]],
        run_over: Callable[[str, str], Awaitable[None]],
        now: Callable[[], datetime],
    ) -> None:
        self._approvals = approvals
        self._ask_for_release = ask_for_release
        self._run_over = run_over
        self._now = now

    async def on(self, stored: Stored) -> None:
        """Raises Unavailable."""
        tenant, task, _ = subjects.parse_event(stored.subject)
        for fact in stored.record.facts:
            match fact:
                case TaskHeld():
                    await self._ask_for_release(tenant, task)
                case TaskHoldDropped():
                    await self._withdraw(Withdraw(tenant, task, fact.approval_id, "the task is over"))
                case TaskFailed() | TaskCancelled():  # also where nobody was left who could have said that the run is over
                    await self._run_over(tenant, task)
                case _:
                    pass

    async def _withdraw(self, cue: Withdraw) -> None:
        outcome = await self._approvals.receive(place(cue), cue, self._now(), "task.hold_dropped")
        if outcome.facts:
            log.info("approvals.withdrawn", tenant=cue.tenant, task=cue.task_id, approval=cue.approval_id)
