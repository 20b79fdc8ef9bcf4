"""The schedule: when tasks are made of one template, again and again. Owned by the router."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final, Literal

from pydantic import Field

from trunkline.contracts.ids import TaskId, Token
from trunkline.contracts.message import Command, Message
from trunkline.contracts.task import Assignment

LEAST_EVERY_S: Final = 60
MOST_EVERY_S: Final = 366 * 24 * 3600


class Missed(StrEnum):
    """What becomes of moments at which nobody was there to act."""

    SKIP = "skip"
    """Nothing: the next moment counts."""
    ONCE = "once"
    """One task for all of them, as soon as somebody is there again."""


class Recurrence(Message):
    """The moments: by cron in a time zone, or every so many seconds from when it was made. One of the two is set."""

    cron: str = Field(default="", max_length=128)
    """Five fields: minute, hour, day of the month, month, day of the week."""
    time_zone: str = Field(default="UTC", max_length=64)
    """By its name: `Europe/Berlin`."""
    every_s: int | None = Field(default=None, ge=LEAST_EVERY_S, le=MOST_EVERY_S)


class Schedule(Message):
    """A schedule as it lies in its stream, and as its readers see it: the newest record says all."""

    tenant: Token
    schedule_id: Token
    when: Recurrence
    missed: Missed = Missed.SKIP
    assignment: Assignment
    """Of each of its tasks."""
    created_by: str
    changed_by: str = ""
    """Who said last what its tasks are, or when: they are submitted as theirs. Empty: whoever made it."""
    created_at: datetime
    updated_at: datetime
    paused: bool = False
    next_at: datetime | None = None
    """None: it is paused, or no such moment comes."""
    last_at: datetime | None = None
    """The moment of its newest task."""
    last_task_id: str | None = None
    problem: str = ""
    """Why no task came of the last moment; empty when one did, or none was due yet."""
    deleted: bool = False


class CreateSchedule(Command):
    """Repeating it with the same id changes nothing, and answers how the schedule stands."""

    type: Literal["create_schedule"] = "create_schedule"
    schedule_id: Token
    when: Recurrence
    missed: Missed = Missed.SKIP
    assignment: Assignment
    by: str


class ChangeSchedule(Command):
    """What is None stays. A moment that came before the change still has its task; `every_s` is counted from when it was made."""

    type: Literal["change_schedule"] = "change_schedule"
    schedule_id: Token
    cron: str | None = Field(default=None, max_length=128)
    """Takes the place of `every_s`, and the other way round."""
    time_zone: str | None = Field(default=None, max_length=64)
    every_s: int | None = Field(default=None, ge=LEAST_EVERY_S, le=MOST_EVERY_S)
    missed: Missed | None = None
    assignment: Assignment | None = None
    paused: bool | None = None
    by: str


class PauseSchedule(Command):
    """Or let it go on. What was missed meanwhile is not made up for."""

    type: Literal["pause_schedule"] = "pause_schedule"
    schedule_id: Token
    paused: bool
    by: str = ""


class DeleteSchedule(Command):
    """Tasks that it made stay. One that is deleted already is refused as unknown."""

    type: Literal["delete_schedule"] = "delete_schedule"
    schedule_id: Token
    by: str = ""


class GetSchedule(Command):
    type: Literal["get_schedule"] = "get_schedule"
    schedule_id: Token


class ListSchedules(Command):
    """All of the tenant, the oldest first; there are never many."""

    type: Literal["list_schedules"] = "list_schedules"


class SchedulePage(Message):
    """The answer to ListSchedules."""

    schedules: tuple[Schedule, ...]


def task_of(tenant: str, schedule_id: str, moment: datetime) -> TaskId:
    """The task of one moment: whoever makes it a second time makes the same."""
    return TaskId(sha256(f"{tenant}/{schedule_id}/{moment.isoformat()}".encode()).hexdigest()[:32])
