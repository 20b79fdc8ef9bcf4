"""From what an orchestrator client asks of schedules to what Trunkline understands."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from pydantic import JsonValue

from trunkline.contracts.schedule import Missed, Recurrence
from trunkline_gateway.dialects.orchestrator import decode, reading
from trunkline_gateway.dialects.orchestrator.schemas_schedules import ScheduleBody, ScheduleChangeBody
from trunkline_gateway.usecases.schedules import ScheduleWish

Object = Mapping[str, JsonValue]
OF_ONE: Final = ("start_at", "delay", "sla_deadline", "parent_task_id", "trace_id")
"""Fields that mean one task, and not many."""


def wish(sent: Object, now: datetime) -> ScheduleWish:
    """Raises Invalid."""
    asked = reading.body(ScheduleBody, sent)
    task = sent["task"]
    for name in OF_ONE:
        if getattr(asked.task, name) is not None:
            raise reading.wrong(f"task.{name}", "means one task; leave it out of a schedule")
    when = Recurrence(cron=asked.cron or "", time_zone=asked.time_zone or "UTC", every_s=asked.every)
    assignment = decode.task(task if isinstance(task, dict) else {}, now).assignment
    return ScheduleWish(when, assignment, Missed(asked.missed or "skip"))


def paused(sent: Object) -> bool:
    """Raises Invalid."""
    return reading.body(ScheduleChangeBody, sent).paused
