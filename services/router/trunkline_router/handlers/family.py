"""Tasks that are parts of a task: it learns of them, and what cancels it cancels them."""

from __future__ import annotations

from trunkline.contracts.task import TaskStatus
from trunkline_router.handlers.one_by_one import one_by_one
from trunkline_router.handlers.task_life import TaskLife
from trunkline_router.model import ChildSubmitted, ParentCancelled
from trunkline_router.ports import DueTask


class Family:
    """Every step may be repeated without harm."""

    def __init__(self, life: TaskLife) -> None:
        self._life = life

    async def joined(self, child: DueTask, parent: str) -> None:
        """Tell the parent; one that was cancelled before it could learn of the child has it cancelled now."""
        above = await self._life.happened(DueTask(tenant=child.tenant, task=parent), ChildSubmitted(child.task))
        if above and above.status is TaskStatus.CANCELLED:
            await self.dissolved(DueTask(tenant=child.tenant, task=parent), (child.task,))

    async def dissolved(self, parent: DueTask, children: tuple[str, ...]) -> None:
        """The parent was cancelled; children that are over stay as they ended."""
        parts = (DueTask(tenant=parent.tenant, task=child) for child in children)
        await one_by_one(parts, lambda part: self._life.happened(part, ParentCancelled(parent.task)))
