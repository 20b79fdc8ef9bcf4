"""What an orchestrator client sends about schedules."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from trunkline.contracts.schedule import LEAST_EVERY_S, MOST_EVERY_S
from trunkline_gateway.dialects.orchestrator import names
from trunkline_gateway.dialects.orchestrator.schemas import BODY, QUERY, TaskBody, whole


class ScheduleBody(BaseModel):
    """POST /schedules. Either `cron` or `every`."""

    model_config = BODY

    cron: Annotated[str, Field(min_length=1, max_length=128, examples=["0 6 * * 1-5"])] | None = None
    """Five fields: minute, hour, day of the month, month, day of the week."""
    time_zone: Annotated[str, Field(min_length=1, max_length=64, examples=["Europe/Berlin"])] | None = None
    """Of `cron`. Null and nothing mean UTC."""
    every: Annotated[int, Field(ge=LEAST_EVERY_S, le=MOST_EVERY_S), BeforeValidator(whole)] | None = None
    """Seconds, counted from when it is made."""
    missed: Literal["skip", "once"] | None = None
    """What becomes of moments at which nothing ran here: no task, or one for all of them. Null and nothing mean skip."""
    task: TaskBody
    """Each of its tasks, as POST /tasks takes one, without `start_at`, `delay`, `sla_deadline`, `parent_task_id` and `trace_id`."""


class ScheduleChangeBody(BaseModel):
    """PATCH /schedules/{schedule_id}."""

    model_config = BODY

    paused: bool
    """Moments that pass while it is paused are never made up for."""


class SchedulePath(BaseModel):
    model_config = QUERY

    schedule_id: Annotated[str, Field(pattern=names.SCHEDULE, examples=["sch_01a1fe1a15477676b883dd25f2dda5a4"])]
