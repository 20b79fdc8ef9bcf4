"""From what an orchestrator client asks of schedules to what Trunkline understands."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from multidict import MultiMapping
from pydantic import JsonValue

from trunkline.contracts.errors import Invalid
from trunkline.contracts.schedule import Missed, Recurrence
from trunkline.contracts.task import Assignment
from trunkline_gateway.dialects.orchestrator import decode, reading
from trunkline_gateway.dialects.orchestrator.schemas import TaskBody
from trunkline_gateway.dialects.orchestrator.schemas_schedules import ScheduleBody, ScheduleChangeBody, SchedulesQuery
from trunkline_gateway.usecases.schedules import ScheduleChange, ScheduleWish

Object = Mapping[str, JsonValue]
OF_ONE: Final = ("start_at", "delay", "sla_deadline", "parent_task_id", "trace_id")
"""Fields that mean one task, and not many."""


def wish(sent: Object, now: datetime) -> ScheduleWish:
    """Raises Invalid."""
    asked = reading.body(ScheduleBody, sent)
    when = Recurrence(cron=asked.cron or "", time_zone=asked.time_zone or "UTC", every_s=asked.every)
    return ScheduleWish(when, _assignment(asked.task, sent["task"], now), Missed(asked.missed or "skip"))


def change(sent: Object, now: datetime) -> ScheduleChange:
    """Raises Invalid, also for a change of nothing."""
    asked = reading.body(ScheduleChangeBody, sent)
    changed = ScheduleChange(
        cron=asked.cron,
        time_zone=asked.time_zone,
        every_s=asked.every,
        missed=Missed(asked.missed) if asked.missed else None,
        assignment=_assignment(asked.task, sent["task"], now) if asked.task else None,
        paused=asked.paused,
    )
    if changed == ScheduleChange():
        raise Invalid("say what is to be otherwise", code=reading.MISSING_FIELD)
    return changed


def most(query: MultiMapping[str]) -> int:
    """How many are to be listed. Raises Invalid."""
    return reading.query(SchedulesQuery, query).limit


def _assignment(asked: TaskBody, sent: JsonValue, now: datetime) -> Assignment:
    """Raises Invalid."""
    for name in OF_ONE:
        if getattr(asked, name) is not None:
            raise reading.wrong(f"task.{name}", "means one task; leave it out of a schedule")
    return decode.task(sent if isinstance(sent, dict) else {}, now).assignment
