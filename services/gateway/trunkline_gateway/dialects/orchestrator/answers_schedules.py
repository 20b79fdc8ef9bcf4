"""What this surface answers of schedules, as models."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, JsonValue

from trunkline_gateway.dialects.orchestrator.answers import CLOSED


class ScheduledTask(BaseModel):
    """What each of its tasks is asked to be."""

    model_config = CLOSED

    type: str | None
    priority: str
    source: str | None
    payload: dict[str, JsonValue]
    metadata: dict[str, JsonValue]
    max_retries: int


class Schedule(BaseModel):
    """Either `cron` or `every` is set. `next_at` is null while it is paused."""

    model_config = CLOSED

    schedule_id: str
    paused: bool
    cron: str | None
    time_zone: str | None
    every: int | None
    missed: Literal["skip", "once"]
    task: ScheduledTask
    next_at: AwareDatetime | None
    last_at: AwareDatetime | None
    """The moment of its newest task."""
    last_task_id: str | None
    problem: str | None
    """Why no task came of the last moment."""
    created_by: str
    changed_by: str | None
    """Who said last what its tasks are, or when: they are submitted as theirs."""
    created_at: AwareDatetime
    updated_at: AwareDatetime


class ScheduleMade(BaseModel):
    model_config = CLOSED

    success: Literal[True]
    message: str
    schedule_id: str
    schedule: Schedule


class ScheduleRead(BaseModel):
    model_config = CLOSED

    success: Literal[True]
    schedule: Schedule


class ScheduleList(BaseModel):
    """Those of the tenant, the oldest first."""

    model_config = CLOSED

    success: Literal[True]
    count: int
    total: int
    """Of all, shown here or not."""
    schedules: list[Schedule]


class ScheduleRemoved(BaseModel):
    model_config = CLOSED

    success: Literal[True]
    message: str
    schedule_id: str
