"""How a workflow run goes is news for its task, and so is that none will come."""

from __future__ import annotations

from trunkline.bus import Stored
from trunkline.contracts import subjects
from trunkline_router.handlers.task_life import TaskLife
from trunkline_router.model.instance_news import dispatch_news
from trunkline_router.ports import DueTask


class DispatchNews:
    def __init__(self, life: TaskLife) -> None:
        self._life = life

    async def on(self, stored: Stored) -> None:
        names = subjects.parse_event(stored.subject)
        due = DueTask(tenant=names.tenant, task=names.task)
        for fact in stored.record.facts:
            if happening := dispatch_news(fact):
                await self._life.happened(due, happening)
