"""What a room says is news for its tasks: one waits for a place, another has it now; and the looks that nothing is forgotten by."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from trunkline.bus import Stored
from trunkline.contracts import subjects
from trunkline.contracts.room import RoomAwaited, RoomEntered
from trunkline_router.handlers.rooms import LOOKED_AT, Rooms
from trunkline_router.handlers.task_life import TaskLife
from trunkline_router.model import PlaceAwaited, PlaceGiven, Task
from trunkline_router.ports import DueRoom, DueTask, Timers

NEWS = (RoomEntered, RoomAwaited)


class RoomNews:
    def __init__(self, rooms: Rooms, life: TaskLife, timers: Timers, now: Callable[[], datetime]) -> None:
        self._rooms = rooms
        self._life = life
        self._timers = timers
        self._now = now

    async def on(self, stored: Stored) -> None:
        """Raises Unavailable."""
        tenant = subjects.parse_event(stored.subject).tenant
        for fact in stored.record.facts:
            match fact:
                case RoomEntered():
                    await self._entered(DueTask(tenant=tenant, task=fact.sitter.task), waited=fact.waited)
                case RoomAwaited():
                    await self._timers.place(DueRoom(tenant=tenant), self._now() + LOOKED_AT)
                    await self._life.happened(DueTask(tenant=tenant, task=fact.sitter.task), PlaceAwaited(fact.full))
                case _:
                    pass

    async def due(self, due: DueRoom) -> None:
        """Somebody waits: what changed meanwhile (the caps, or an end that nobody told the room of) counts now. Raises Unavailable."""
        room = await self._rooms.look(due.tenant)
        for task in room.inside:
            await self._leave_if_over(DueTask(tenant=due.tenant, task=task))
        room = await self._rooms.look(due.tenant)
        for task in room.waiting:
            await self._leave_if_over(DueTask(tenant=due.tenant, task=task))
        if room.waiting:
            await self._timers.place(due, self._now() + LOOKED_AT)

    async def _entered(self, due: DueTask, *, waited: bool) -> None:
        """Its place may have come after its end: that is nobody's to keep."""
        task = await self._life.happened(due, PlaceGiven()) if waited else await self._life.stands(due)
        await self._leave_if(due, task)

    async def _leave_if_over(self, due: DueTask) -> None:
        await self._leave_if(due, await self._life.stands(due))

    async def _leave_if(self, due: DueTask, task: Task | None) -> None:
        if task is None or task.status.terminal:
            await self._rooms.leave(due)
