"""When a schedule is due, and what a ring of its alarm leads to: thought and not done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from trunkline.contracts.errors import Invalid
from trunkline.contracts.schedule import ChangeSchedule, Missed, Recurrence, Schedule

FIELDS: Final = {
    "minute": "minute", "hour": "hour", "day-of-month": "day of the month", "month": "month", "day-of-week": "day of the week",
}  # fmt: skip
"""As cronsim calls them, and as we do. A sixth would be seconds: nothing is done that often."""
LATE: Final = timedelta(seconds=90)
"""By so much an alarm may ring too late and be in time: a leader was elected, a router restarted."""


class Rung(NamedTuple):
    """What an alarm leads to."""

    fires: datetime | None
    """The moment that a task is made for; None: it was missed, and that is that."""
    next_at: datetime | None


def checked(when: Recurrence) -> Recurrence:
    """Raises Invalid."""
    if bool(when.cron) == (when.every_s is not None):
        raise Invalid("say when: either `cron`, or `every` so many seconds", code="INVALID_SCHEDULE")
    if when.every_s is None:
        _moments(when, datetime(2026, 1, 1, tzinfo=UTC))
    return when


def following(when: Recurrence, after: datetime, since: datetime) -> datetime | None:
    """The first moment after `after` (UTC); `since` is where counting in seconds began. None: no such moment comes.

    By cron, what a change of the clock leaves out is due right after it, and what it brings twice is due once; `*` in the hour means
    every hour that there is. Raises Invalid.
    """
    if when.every_s is not None:
        every = timedelta(seconds=when.every_s)
        return since + every * max((after - since) // every + 1, 1)
    return next((moment.astimezone(UTC) for moment in _moments(when, after)), None)


def changed(schedule: Schedule, wish: ChangeSchedule) -> Schedule:
    """As it stands then; the very same where nothing is otherwise. A moment that came already keeps its task. Raises Invalid."""
    when = _recurrence(schedule.when, wish)
    told: dict[str, object] = {"when": when, "missed": wish.missed or schedule.missed, "assignment": wish.assignment or schedule.assignment}
    told_by = {"changed_by": wish.by} if schedule.model_copy(update=told) != schedule else {}
    paused = schedule.paused if wish.paused is None else wish.paused
    after = schedule.model_copy(update={**told, **told_by, "paused": paused, "next_at": _next(schedule, when, paused, wish.at)})
    return schedule if after == schedule else after.model_copy(update={"updated_at": wish.at})


def rung(schedule: Schedule, moment: datetime, now: datetime) -> Rung:
    """What the alarm for `moment` leads to at `now`."""
    late = now - moment > LATE
    after = max(now, moment) if late else moment
    fires = moment if not late or schedule.missed is Missed.ONCE else None
    return Rung(fires, following(schedule.when, after, schedule.created_at))


def _recurrence(was: Recurrence, wish: ChangeSchedule) -> Recurrence:
    """Raises Invalid."""
    zone = wish.time_zone or was.time_zone
    if wish.cron is None and wish.every_s is None:
        return checked(was.model_copy(update={"time_zone": zone}))
    return checked(Recurrence(cron=wish.cron or "", time_zone=zone, every_s=wish.every_s))


def _next(schedule: Schedule, when: Recurrence, paused: bool, at: datetime) -> datetime | None:
    """What it waits for after a change."""
    if paused:
        return None
    waits = schedule.next_at
    return waits if waits and (waits <= at or when == schedule.when) else following(when, at, schedule.created_at)


def _moments(when: Recurrence, after: datetime) -> CronSim:
    if len(when.cron.split()) != len(FIELDS):
        raise Invalid("cron needs five fields: minute, hour, day of the month, month, day of the week", code="INVALID_CRON", field="cron")
    try:
        return CronSim(when.cron, after.astimezone(ZoneInfo(when.time_zone)))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid("there is no time zone by that name; `Europe/Berlin` is one", code="UNKNOWN_TIME_ZONE", field="time_zone") from None
    except CronSimError as error:
        raise Invalid(f"cron cannot be read: {_misread(when.cron, str(error))}", code="INVALID_CRON", field="cron") from None


def _misread(cron: str, said: str) -> str:
    """Which of its fields it is, and what stands there."""
    of = {f"Bad {name}": f"there is no {ours} {part!r}" for (name, ours), part in zip(FIELDS.items(), cron.split(), strict=True)}
    return of.get(said, said)
