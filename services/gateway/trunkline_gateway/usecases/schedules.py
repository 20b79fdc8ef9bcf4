"""What can be asked about schedules: tasks that are made again and again, by cron or every so often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from trunkline.auth.principal import Principal
from trunkline.contracts.message import Command
from trunkline.contracts.schedule import (
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
class Schedules:
    """Every verb about one schedule raises NotFound for one that the tenant does not have; each may raise Unavailable."""

    commands: Commands
    now: Callable[[], datetime]
    deadline_s: float = 3600.0
    """What a task gets that asks for no deadline of its own."""

    async def create(self, principal: Principal, wish: ScheduleWish, *, id: str) -> Schedule:
        """The same `id` again makes no second one. Raises Invalid, Conflict where there are too many."""
        assignment = struck.assignment(wish.assignment)
        if "deadline_s" not in assignment.model_fields_set:
            assignment = assignment.model_copy(update={"deadline_s": self.deadline_s})
        about = self._about(principal, f"{PREFIX}{id}")
        command = CreateSchedule(**about, when=wish.when, missed=wish.missed, assignment=assignment, by=principal.subject)
        return await self._one(command)

    async def all(self, principal: Principal) -> tuple[Schedule, ...]:
        """Those of the tenant, the oldest first."""
        answer = await self.commands.send(ROUTER, NO_ID, ListSchedules(tenant=principal.tenant, at=self.now()))
        return SchedulePage.model_validate(answer.body).schedules

    async def one(self, principal: Principal, schedule: str) -> Schedule:
        return await self._one(GetSchedule(**self._about(principal, schedule)))

    async def pause(self, principal: Principal, schedule: str, *, paused: bool) -> Schedule:
        """Or let it go on from now."""
        return await self._one(PauseSchedule(**self._about(principal, schedule), paused=paused, by=principal.subject))

    async def delete(self, principal: Principal, schedule: str) -> None:
        """The tasks that it made stay."""
        await self._one(DeleteSchedule(**self._about(principal, schedule), by=principal.subject))

    async def _one(self, command: CreateSchedule | GetSchedule | PauseSchedule | DeleteSchedule) -> Schedule:
        return Schedule.model_validate(await self._told(command.schedule_id, command))

    async def _told(self, id: str, command: Command) -> Any:
        return (await self.commands.send(ROUTER, id, command)).body

    def _about(self, principal: Principal, schedule: str) -> dict[str, Any]:
        return {"tenant": principal.tenant, "at": self.now(), "schedule_id": schedule}
