"""What can be asked about schedules: tasks that are made again and again, by cron or every so often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from trunkline.auth.principal import Principal
from trunkline.contracts.message import Command
from trunkline.contracts.schedule import (
    ChangeSchedule,
    CreateSchedule,
    DeleteSchedule,
    GetSchedule,
    ListSchedules,
    Missed,
    PauseSchedule,
    Recurrence,
    Schedule,
    SchedulePage,
)
from trunkline.contracts.task import Assignment
from trunkline_gateway.ports import Commands
from trunkline_gateway.usecases import struck

ROUTER: Final = "router"
NO_ID: Final = "-"
PREFIX: Final = "sch_"


@dataclass(frozen=True, slots=True)
class ScheduleWish:
    """A schedule as asked for."""

    when: Recurrence
    assignment: Assignment
    missed: Missed = Missed.SKIP


@dataclass(frozen=True, slots=True)
class ScheduleChange:
    """What is to be otherwise; None stays."""

    cron: str | None = None
    time_zone: str | None = None
    every_s: int | None = None
    missed: Missed | None = None
    assignment: Assignment | None = None
    paused: bool | None = None


@dataclass(frozen=True, slots=True)
class Schedules:
    """Every verb about one schedule raises NotFound for one that the tenant does not have; each may raise Unavailable."""

    commands: Commands
    now: Callable[[], datetime]
    deadline_s: float = 3600.0
    """What a task gets that asks for no deadline of its own."""

    async def create(self, principal: Principal, wish: ScheduleWish, *, id: str) -> Schedule:
        """The same `id` again makes no second one. Raises Invalid, Conflict where there are too many."""
        about, assignment = self._about(principal, f"{PREFIX}{id}"), self._settled(wish.assignment)
        command = CreateSchedule(**about, when=wish.when, missed=wish.missed, assignment=assignment, by=principal.subject)
        return await self._one(command)

    async def all(self, principal: Principal) -> tuple[Schedule, ...]:
        """Those of the tenant, the oldest first."""
        answer = await self.commands.send(ROUTER, NO_ID, ListSchedules(tenant=principal.tenant, at=self.now()))
        return SchedulePage.model_validate(answer.body).schedules

    async def one(self, principal: Principal, schedule: str) -> Schedule:
        return await self._one(GetSchedule(**self._about(principal, schedule)))

    async def change(self, principal: Principal, schedule: str, change: ScheduleChange) -> Schedule:
        """Whose tasks it makes from now on, unless it is only paused, or goes on. Raises Invalid."""
        about = self._about(principal, schedule)
        if change == ScheduleChange(paused=change.paused) and change.paused is not None:  # which earlier routers understand too
            return await self._one(PauseSchedule(**about, paused=change.paused, by=principal.subject))
        command = ChangeSchedule(
            **about, cron=change.cron, time_zone=change.time_zone, every_s=change.every_s, missed=change.missed,
            assignment=self._settled(change.assignment) if change.assignment else None, paused=change.paused, by=principal.subject,
        )  # fmt: skip
        return await self._one(command)

    async def delete(self, principal: Principal, schedule: str) -> None:
        """The tasks that it made stay."""
        await self._one(DeleteSchedule(**self._about(principal, schedule), by=principal.subject))

    def _settled(self, assignment: Assignment) -> Assignment:
        clean = struck.assignment(assignment)
        return clean if "deadline_s" in clean.model_fields_set else clean.model_copy(update={"deadline_s": self.deadline_s})

    async def _one(self, command: CreateSchedule | GetSchedule | ChangeSchedule | PauseSchedule | DeleteSchedule) -> Schedule:
        return Schedule.model_validate(await self._told(command.schedule_id, command))

    async def _told(self, id: str, command: Command) -> Any:
        return (await self.commands.send(ROUTER, id, command)).body

    def _about(self, principal: Principal, schedule: str) -> dict[str, Any]:
        return {"tenant": principal.tenant, "at": self.now(), "schedule_id": schedule}
