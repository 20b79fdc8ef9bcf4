"""What an orchestrator client sends about schedules."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, Field

from trunkline.contracts.schedule import LEAST_EVERY_S, MOST_EVERY_S
from trunkline_gateway.dialects.orchestrator import names
from trunkline_gateway.dialects.orchestrator.schemas import BODY, LOOSE, QUERY, TaskBody, Whole, whole

MOST_SCHEDULES: Final = 10_000
"""No tenant can have more of them."""
Cron = Annotated[str, Field(min_length=1, max_length=128, examples=["0 6 * * 1-5"])]
Zone = Annotated[str, Field(min_length=1, max_length=64, examples=["Europe/Berlin"])]
Every = Annotated[int, Field(ge=LEAST_EVERY_S, le=MOST_EVERY_S), BeforeValidator(whole)]


class ScheduleBody(BaseModel):
    """POST /schedules. Either `cron` or `every`."""

    model_config = BODY

    cron: Cron | None = None
    """Five fields: minute, hour, day of the month, month, day of the week."""
    time_zone: Zone | None = None
    """Of `cron`. Null and nothing mean UTC."""
    every: Every | None = None
    """Seconds, counted from when it is made."""
    missed: Literal["skip", "once"] | None = None
    """What becomes of moments at which nothing ran here: no task, or one for all of them. Null and nothing mean skip."""
    task: TaskBody
    """Each of its tasks, as POST /tasks takes one, without `start_at`, `delay`, `sla_deadline`, `parent_task_id` and `trace_id`."""


class ScheduleChangeBody(BaseModel):
    """PATCH /schedules/{schedule_id}. What is null or not there stays. A moment that came before the change still has its task."""

    model_config = BODY

    paused: bool | None = None
    """Moments that pass while it is paused are never made up for."""
    cron: Cron | None = None
    """Takes the place of `every`, and the other way round."""
    time_zone: Zone | None = None
    every: Every | None = None
    missed: Literal["skip", "once"] | None = None
    task: TaskBody | None = None
    """All of it, as when the schedule was made. Its tasks are of whoever changed what they are, or when."""


class SchedulesQuery(BaseModel):
    """GET /schedules."""

    model_config = QUERY

    limit: Annotated[Whole, Field(ge=1, le=MOST_SCHEDULES)] = MOST_SCHEDULES
    """So many of them, the oldest; by default all."""


class SchedulePath(BaseModel):
    model_config = LOOSE

    schedule_id: Annotated[str, Field(pattern=names.SCHEDULE, examples=["sch_01a1fe1a15477676b883dd25f2dda5a4"])]
