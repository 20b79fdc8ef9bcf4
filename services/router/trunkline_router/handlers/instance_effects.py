"""What a task does to its instance: where a workflow is to be started it opens one, and its end is that of the instance."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from trunkline.contracts.message import Fact
from trunkline.runtime.actor import Actor
from trunkline_router.handlers.instance_tasks import InstanceTasks
from trunkline_router.model.instance import Instance
from trunkline_router.model.instance_cues import InstanceCue
from trunkline_router.model.instance_opening import ended
from trunkline_router.ports import DueTask


class InstanceEffects:
    """Every step may be repeated without harm."""

    def __init__(self, actor: Actor[Instance, InstanceCue], tasks: InstanceTasks, now: Callable[[], datetime]) -> None:
        self._actor = actor
        self._tasks = tasks
        self._now = now

    async def begin(self, due: DueTask) -> None:
        if begun := await self._tasks.begun(due):
            await self._receive(due, begun.opening)

    async def ended(self, due: DueTask, fact: Fact) -> None:
        if over := ended(fact):
            await self._receive(due, over)

    async def _receive(self, due: DueTask, cue: InstanceCue) -> None:
        await self._actor.receive(due.instance, cue, self._now(), cause=type(cue).__name__)
