"""From what Trunkline says of schedules to what an orchestrator client reads."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from trunkline.contracts.schedule import Schedule
from trunkline_gateway.dialects.orchestrator import names
from trunkline_gateway.dialects.orchestrator.encode import Object, moment
from trunkline_gateway.usecases.schedules import ScheduleChange


def schedule(of: Schedule) -> Object:
    asked = of.assignment
    task: Object = {
        "type": asked.type or None,
        "priority": asked.priority.value,
        "source": asked.source or None,
        "payload": asked.payload,
        "metadata": asked.metadata,
        "max_retries": asked.max_retries,
    }
    return {
        "schedule_id": of.schedule_id,
        "paused": of.paused,
        "cron": of.when.cron or None,
        "time_zone": of.when.time_zone if of.when.cron else None,
        "every": of.when.every_s,
        "missed": of.missed.value,
        "task": task,
        "next_at": moment(of.next_at) if of.next_at else None,
        "last_at": moment(of.last_at) if of.last_at else None,
        "last_task_id": names.task(of.last_task_id) if of.last_task_id else None,
        "problem": of.problem or None,
        "created_by": of.created_by,
        "changed_by": of.changed_by or None,
        "created_at": moment(of.created_at),
        "updated_at": moment(of.updated_at),
    }


def made(of: Schedule) -> Object:
    when = f"it is due at {moment(of.next_at)}" if of.next_at else "it is never due"
    return {"success": True, "message": f"Schedule made; {when}", "schedule_id": of.schedule_id, "schedule": schedule(of)}


def changed(of: Schedule, change: ScheduleChange) -> Object:
    moved = change != ScheduleChange(paused=change.paused)
    said = "Schedule changed" if moved else "Schedule paused" if of.paused else "Schedule goes on"
    return {"success": True, "message": said, "schedule_id": of.schedule_id, "schedule": schedule(of)}


def read(of: Schedule) -> Object:
    return {"success": True, "schedule": schedule(of)}


def listed(every: Sequence[Schedule], most: int) -> Object:
    shown: list[JsonValue] = [schedule(one) for one in every[:most]]
    return {"success": True, "count": len(shown), "total": len(every), "schedules": shown}


def removed(schedule_id: str) -> Object:
    return {"success": True, "message": "Schedule deleted; its tasks stay", "schedule_id": schedule_id}
