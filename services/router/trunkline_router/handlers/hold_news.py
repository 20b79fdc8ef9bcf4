"""What was decided about a held task lets it begin, or ends it."""

from __future__ import annotations

from trunkline.bus import Log, Stored
from trunkline.contracts import subjects
from trunkline.contracts.approval import RELEASE, ApprovalDecided
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Accepted
from trunkline.contracts.task import SettleHold
from trunkline_router.handlers.task_life import TaskLife
from trunkline_router.model import HoldDecided
from trunkline_router.ports import DueTask


class HoldNews:
    def __init__(self, life: TaskLife, log: Log) -> None:
        self._life = life
        self._log = log

    async def settle(self, wish: SettleHold) -> Accepted:
        """What comes as news a moment later, for whoever cannot wait for it: both may act, and one of them does."""
        part = subjects.event(TenantId(wish.tenant), TaskId(wish.task_id), subjects.approval_part(RELEASE))
        loaded = await self._log.load(part)
        for stored in loaded.records:
            await self.on(stored)
        return Accepted(seq=loaded.seq)

    async def on(self, stored: Stored) -> None:
        names = subjects.parse_event(stored.subject)
        for fact in stored.record.facts:
            if isinstance(fact, ApprovalDecided):
                await self._life.happened(DueTask(tenant=names.tenant, task=names.task), HoldDecided(fact))
