"""A run wants something allowed, takes that back, or ends: its questions are asked, and none outlives it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Final

import structlog
from pydantic import ValidationError

from trunkline.bus import Stored
from trunkline.contracts import subjects
from trunkline.contracts.approval import RELEASE, RequestApproval
from trunkline.contracts.errors import Conflict, Invalid, Unavailable
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Accepted
from trunkline.contracts.run import ApprovalDropped, ApprovalWanted, RunFailed, RunStopped, RunSucceeded
from trunkline.runtime.faults import faultpoint
from trunkline_approvals.model import Withdraw, place, unsettled, wish
from trunkline_approvals.ports import Approvals, Tasks

log = structlog.get_logger()

NEWS: Final = (ApprovalWanted, ApprovalDropped, RunSucceeded, RunFailed, RunStopped)
"""The facts of a run that concern approvals."""
RUN: Final = "run"
AT_ONCE: Final = 16
OVER: Final = "the run is over"


class RunNews:
    """Every word may be heard again, late, and in another order than it was said: a withdrawal keeps even what is not asked yet from it."""

    def __init__(
        self, approvals: Approvals, logs: Tasks, asking: Callable[[RequestApproval], Awaitable[Accepted]], now: Callable[[], datetime]
    ) -> None:
        self._approvals = approvals
        self._logs = logs
        self._asking = asking
        self._now = now

    async def on(self, stored: Stored) -> None:
        """Raises Unavailable."""
        tenant, task, _ = subjects.parse_event(stored.subject)
        record = stored.record
        for fact in record.facts:
            match fact:
                case ApprovalWanted():
                    await self._ask(fact, (tenant, task), record.at)
                case ApprovalDropped() if fact.approval_id != RELEASE:
                    await self._withdraw(Withdraw(tenant, task, fact.approval_id, fact.reason or "the run took it back"))
                case RunSucceeded() | RunFailed() | RunStopped():
                    await self.ended(tenant, task, fact.attempt)
                case _:
                    pass

    async def ended(self, tenant: str, task: str, attempt: int | None = None) -> None:
        """Nothing that the run, or one attempt of it, asked is open any more. Raises Unavailable."""
        loaded = await self._logs.load(subjects.event(TenantId(tenant), TaskId(task), RUN))
        names = unsettled((fact for stored in loaded.records for fact in stored.record.facts), attempt)
        await self._withdraw_all(Withdraw(tenant, task, name, OVER) for name in names)

    async def _ask(self, wanted: ApprovalWanted, where: tuple[str, str], said: datetime) -> None:
        faultpoint("approval_wanted.before_ask")
        try:
            await self._asking(wish(wanted, where, said, self._now()))
        except (Invalid, Conflict, ValidationError) as error:
            await self._refused(wanted, where, error)

    async def _refused(self, wanted: ApprovalWanted, where: tuple[str, str], error: Exception) -> None:
        """What can never be asked is withdrawn: the run must not wait for ever. What stands under its name already stays as it is."""
        tenant, task = where
        log.warning("approvals.not_askable", tenant=tenant, task=task, approval=wanted.approval_id[:64], error=str(error)[:500])
        if isinstance(error, Conflict) or wanted.approval_id == RELEASE:
            return
        await self._withdraw(Withdraw(tenant, task, wanted.approval_id, "it could not be asked"))

    async def _withdraw_all(self, cues: Iterable[Withdraw]) -> None:
        hands, failed = asyncio.Semaphore(AT_ONCE), list[Unavailable]()

        async def one(cue: Withdraw) -> None:
            async with hands:
                try:
                    await self._withdraw(cue)
                except Unavailable as error:  # told below, when the others have had their turn
                    failed.append(error)

        async with asyncio.TaskGroup() as group:
            for cue in cues:
                group.create_task(one(cue))
        if failed:
            raise failed[0]

    async def _withdraw(self, cue: Withdraw) -> None:
        try:
            where = place(cue)
        except (Invalid, ValueError):  # no approval can have such a name, so none is open
            return
        outcome = await self._approvals.receive(where, cue, self._now(), "run")
        if outcome.facts:
            log.info("approvals.withdrawn", tenant=cue.tenant, task=cue.task_id, approval=cue.approval_id, reason=cue.reason)
