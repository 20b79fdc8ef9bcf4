"""What the carrier of a run hears and says by, beside the run's own log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from trunkline.bus import Bell, Log, Nudges
from trunkline.contracts import subjects
from trunkline.contracts.approval import ApprovalDecided, ApprovalWithdrawn
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.run import Usage
from trunkline_sandbox.handlers.inbox import Inbox
from trunkline_sandbox.handlers.judge_push import JudgePush
from trunkline_sandbox.handlers.till import TaskTill
from trunkline_sandbox.handlers.world import Job
from trunkline_sandbox.model.asking import Decision

NewTill = Callable[[Job], TaskTill]
"""A till for the sitting of the job that runs."""


@dataclass(frozen=True, slots=True)
class Wires:
    events: Log
    nudges: Nudges
    inbox: Inbox
    judge: JudgePush
    till: NewTill

    async def spent(self, job: Job) -> Usage:
        """What the models of a task were counted to use, in all its attempts; what its agent says of itself is none of it."""
        till = self.till(job)
        await till.open()
        return till.totals.usage

    async def decision(self, job: Job, name: str) -> Decision | None:
        """What people made of a question; None while nobody decided. Raises BusAway."""
        newest = await self.events.last(subjects.event(TenantId(job.item.tenant), TaskId(job.item.task), subjects.approval_part(name)))
        facts = newest.record.facts if newest else ()
        return next((fact for fact in facts if isinstance(fact, ApprovalDecided | ApprovalWithdrawn)), None)

    def bell(self, job: Job, *parts: str) -> AbstractAsyncContextManager[Bell]:
        return self.nudges.on(TenantId(job.item.tenant), TaskId(job.item.task), *parts)

    @asynccontextmanager
    async def open_till(self, job: Job) -> AsyncIterator[TaskTill]:
        """A till that knows what was spent before; what waits at it is refused at the end of the block."""
        till = self.till(job)
        await till.open()
        try:
            yield till
        finally:
            till.end()
