"""Schedules: made, paused and deleted by whoever may, and a task for each of their moments, once, whoever else acts on the same alarm."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, NamedTuple

import orjson
import structlog
from pydantic import ValidationError

from trunkline.bus import Raced, Stored
from trunkline.bus.dead import DeadLetter
from trunkline.bus.streams import SCHEDULES
from trunkline.contracts import subjects
from trunkline.contracts.errors import Broken, Conflict, DomainError, NotFound, Unavailable
from trunkline.contracts.ids import TenantId
from trunkline.contracts.message import Accepted, Message
from trunkline.contracts.schedule import (
    ChangeSchedule,
    CreateSchedule,
    DeleteSchedule,
    GetSchedule,
    ListSchedules,
    PauseSchedule,
    Schedule,
    SchedulePage,
    task_of,
)
from trunkline.contracts.task import Assignment, SubmitTask
from trunkline.telemetry.traces import named
from trunkline_router.handlers.task_life import TaskLife
from trunkline_router.model.schedules import changed, checked, following, rung
from trunkline_router.ports import DueSchedule, Shelf, Timers

log = structlog.get_logger()

RACES: Final = 20
AT_ONCE: Final = 32
"""Alarms that are set at once when a router starts."""
LABEL: Final = "schedule"


class Terms(NamedTuple):
    """Of schedules: how many a tenant may have, what raises Invalid for tasks that nobody could do, where lies what came to nothing."""

    most: int
    check: Callable[[Assignment], object]
    keep: Callable[[DeadLetter, TenantId, str], Awaitable[None]]


class Schedules:
    def __init__(self, shelf: Shelf, life: TaskLife, timers: Timers, now: Callable[[], datetime], terms: Terms) -> None:
        self._shelf = shelf
        self._life = life
        self._timers = timers
        self._now = now
        self._terms = terms

    async def create(self, wish: CreateSchedule) -> Accepted:
        """Raises Invalid, Conflict where there are too many, Unavailable."""
        there, seq = await self._shelf.load(wish.tenant, wish.schedule_id)
        if there and not there.deleted:
            return _told(there, seq)
        self._terms.check(wish.assignment)
        if len(await self._shelf.all(wish.tenant)) >= self._terms.most:
            raise Conflict(f"there are {self._terms.most} schedules already; delete one first", code="TOO_MANY_SCHEDULES")
        next_at = following(checked(wish.when), wish.at, wish.at)
        made = Schedule(
            tenant=wish.tenant,
            schedule_id=wish.schedule_id,
            when=wish.when,
            missed=wish.missed,
            assignment=wish.assignment,
            created_by=wish.by,
            created_at=wish.at,
            updated_at=wish.at,
            next_at=next_at,
        )
        try:
            return _told(made, await self._shelf.store(made, seq))
        except Raced:  # the same wish, sent again
            return await self.get(GetSchedule(tenant=wish.tenant, at=wish.at, schedule_id=wish.schedule_id))

    async def change(self, wish: ChangeSchedule) -> Accepted:
        """Raises NotFound, Invalid, Unavailable."""
        if wish.assignment:
            self._terms.check(wish.assignment)
        return await self._changed(wish.tenant, wish.schedule_id, lambda schedule: changed(schedule, wish))

    async def pause(self, wish: PauseSchedule) -> Accepted:
        """Raises NotFound, Unavailable."""
        return await self.change(
            ChangeSchedule(tenant=wish.tenant, at=wish.at, schedule_id=wish.schedule_id, paused=wish.paused, by=wish.by)
        )

    async def delete(self, wish: DeleteSchedule) -> Accepted:
        """Raises NotFound, Unavailable."""
        gone = {"deleted": True, "next_at": None, "updated_at": wish.at}
        return await self._changed(wish.tenant, wish.schedule_id, lambda schedule: schedule.model_copy(update=gone))

    async def get(self, wish: GetSchedule) -> Accepted:
        """Raises NotFound, Unavailable."""
        return _told(*await self._there(wish.tenant, wish.schedule_id))

    async def all(self, wish: ListSchedules) -> Accepted:
        """Raises Unavailable."""
        every = [schedule for schedule, _ in await self._shelf.all(wish.tenant)]
        found = sorted(every, key=lambda schedule: (schedule.created_at, schedule.schedule_id))
        return _told(SchedulePage(schedules=tuple(found)), 0)

    async def due(self, due: DueSchedule) -> None:
        """An alarm rang: it counts if the schedule waits for exactly that moment. Raises Unavailable."""
        for _ in range(RACES):
            schedule, seq = await self._shelf.load(due.tenant, due.schedule)
            if schedule is None or schedule.next_at != due.at:
                return
            try:
                await self._shelf.store(await self._rung(schedule, due.at), seq)
                return
            except Raced:  # it was paused, or another router acted on the same alarm
                continue
        raise Unavailable("too many act on one schedule", code="CONTENDED")

    async def stored(self, stored: Stored) -> None:
        """A schedule was made, or has moved: its alarm rings when the record that it is for can be read. Raises Broken, Unavailable."""
        try:
            schedule = Schedule.model_validate_json(stored.body)
        except ValidationError as error:
            raise Broken("the record of a schedule cannot be read", code="BAD_RECORD") from error
        await self._arm(schedule, stored.seq)

    async def arm_all(self) -> None:
        """Set the alarms of all schedules: those that are there stay, and those that were lost come back. Raises Unavailable."""
        hands = asyncio.Semaphore(AT_ONCE)

        async def arm(schedule: Schedule, seq: int) -> None:
            async with hands:
                await self._arm(schedule, seq)

        every = await self._shelf.all()
        try:
            async with asyncio.TaskGroup() as group:
                for schedule, seq in every:
                    group.create_task(arm(schedule, seq))
        except ExceptionGroup as several:
            raise several.exceptions[0] from None  # as it would be for one alone

    async def _rung(self, schedule: Schedule, moment: datetime) -> Schedule:
        """Makes the task, which may be done twice, and says how the schedule stands then."""
        now = self._now()
        told = rung(schedule, moment, now)
        after: dict[str, object] = {"next_at": told.next_at, "updated_at": now, "problem": "" if told.fires else "it was missed"}
        if told.fires:
            task = task_of(schedule.tenant, schedule.schedule_id, told.fires)
            problem = await self._submitted(schedule, task, now)
            after |= {"problem": problem} if problem else {"problem": "", "last_at": told.fires, "last_task_id": task}
        return schedule.model_copy(update=after)

    async def _submitted(self, schedule: Schedule, task: str, now: datetime) -> str:
        """Why there is no task; empty when there is. Raises Unavailable."""
        labelled = {**schedule.assignment.labels, LABEL: schedule.schedule_id}
        assignment, by = schedule.assignment.model_copy(update={"labels": labelled}), schedule.changed_by or schedule.created_by
        wish = SubmitTask(tenant=schedule.tenant, at=now, task_id=task, assignment=assignment, submitted_by=by, trace_id=named(None, task))
        try:
            await self._life.submit(wish)
        except Unavailable:
            raise
        except DomainError as error:
            log.warning("schedule.refused", schedule=schedule.schedule_id, code=error.code)
            await self._terms.keep(_letter(schedule, wish, error), TenantId(schedule.tenant), task)
            return error.message
        return ""

    async def _changed(self, tenant: str, schedule_id: str, change: Callable[[Schedule], Schedule]) -> Accepted:
        for _ in range(RACES):
            schedule, seq = await self._there(tenant, schedule_id)
            after = change(schedule)
            if after is schedule:
                return _told(schedule, seq)
            try:
                return _told(after, await self._shelf.store(after, seq))
            except Raced:
                continue
        raise Unavailable("too many change one schedule at once; try again in a moment", code="CONTENDED")

    async def _there(self, tenant: str, schedule_id: str) -> tuple[Schedule, int]:
        schedule, seq = await self._shelf.load(tenant, schedule_id)
        if schedule is None or schedule.deleted:
            raise NotFound("there is no such schedule", code="SCHEDULE_NOT_FOUND")
        return schedule, seq

    async def _arm(self, schedule: Schedule, seq: int) -> None:
        """As the effect of its record, never before: an alarm that rings for what is not stored yet would be for nothing."""
        if schedule.next_at:
            await self._timers.schedule(DueSchedule(tenant=schedule.tenant, schedule=schedule.schedule_id, at=schedule.next_at), seq)


def _letter(schedule: Schedule, wish: SubmitTask, error: DomainError) -> DeadLetter:
    """What was to begin at a moment, for whoever wants it after all."""
    return DeadLetter(
        consumer=LABEL,
        stream=SCHEDULES,
        seq=0,
        subject=subjects.schedule(TenantId(schedule.tenant), schedule.schedule_id),
        reason=f"{error.code}: {error.message}"[:2000],
        tries=1,
        body=base64.b64encode(wish.written()).decode(),
    )


def _told(body: Message, seq: int) -> Accepted:
    return Accepted(seq=seq, body=orjson.loads(body.written()))
