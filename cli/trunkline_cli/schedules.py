"""Schedules as the command line asks for them and shows them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from trunkline.contracts.errors import NotFound
from trunkline_cli.door import Door, Wish
from trunkline_cli.orchestrator import Object
from trunkline_cli.plain import Plain, one_line
from trunkline_cli.tables import Cell, Column, Room, Row, span

ROOT: Final = "/schedules"
SCHEDULES: Final = (
    Column("schedule"), Column("when"), Column("next"), Column("task", Room.BELOW), Column("last", Room.WIDE),
    Column("problem", Room.BELOW),
)  # fmt: skip
_SCHEDULE: Final = re.compile(r"sch_[0-9a-f]{32}")


class TaskShown(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    type: Plain | None = None
    priority: Plain = ""


class ScheduleShown(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    schedule_id: Plain
    paused: bool = False
    cron: Plain | None = None
    time_zone: Plain | None = None
    every: int | None = None
    task: TaskShown = TaskShown()
    next_at: datetime | None = None
    last_task_id: Plain | None = None
    problem: Plain | None = None


class ScheduleList(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    schedules: tuple[ScheduleShown, ...] = ()


@dataclass(frozen=True, slots=True)
class Schedules:
    """Answers are JSON objects as they came. Every call raises Unavailable, or the refusal that the gateway spoke."""

    door: Door

    async def all(self) -> Object:
        return await self._ask("GET", ROOT)

    async def create(self, body: Object) -> Object:
        """Raises Invalid, Conflict where there are too many."""
        return await self._ask("POST", ROOT, body)

    async def one(self, schedule: str) -> Object:
        """Raises NotFound."""
        return await self._ask("GET", _at(schedule))

    async def change(self, schedule: str, body: Object) -> Object:
        """Raises NotFound, Invalid."""
        return await self._ask("PATCH", _at(schedule), body)

    async def pause(self, schedule: str, *, paused: bool) -> Object:
        """Or let it go on. Raises NotFound."""
        return await self.change(schedule, {"paused": paused})

    async def delete(self, schedule: str) -> Object:
        """Raises NotFound."""
        return await self._ask("DELETE", _at(schedule))

    async def _ask(self, method: str, path: str, body: Object | None = None) -> Object:
        """Every POST with a key, so that a gateway that was asked twice does it once."""
        headers = {"Idempotency-Key": uuid4().hex} if method == "POST" else {}
        answer = await self.door.ask(Wish(method, path, body, headers=headers))
        return answer if isinstance(answer, dict) else {}


def schedule_row(schedule: ScheduleShown, now: datetime) -> Row:
    """Pure."""
    comes = f"in {span((schedule.next_at - now).total_seconds())}" if schedule.next_at else "paused" if schedule.paused else "never"
    zone = f" {schedule.time_zone}" if schedule.time_zone not in (None, "UTC") else ""
    when = f"{schedule.cron}{zone}" if schedule.cron else f"every {span(schedule.every or 0)}"
    return (
        Cell(schedule.schedule_id),
        Cell(one_line(when)),
        Cell(comes, style="yellow" if schedule.paused else ""),
        Cell(one_line(f"{schedule.task.type or ''} {schedule.task.priority}".strip())),
        Cell(one_line(schedule.last_task_id or "")),
        Cell(one_line(schedule.problem or "")),
    )


def _at(schedule: str) -> str:
    """Raises NotFound for what cannot be one: no gateway has to be asked."""
    if not _SCHEDULE.fullmatch(schedule):
        raise NotFound(f"There is no schedule {schedule!r}: `trunkline schedules` lists those that there are.")
    return f"{ROOT}/{schedule}"
