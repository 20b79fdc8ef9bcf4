"""When a schedule is due: cron in a time zone, through the changes of the clock, every so many seconds, and what was missed."""

from datetime import UTC, datetime, timedelta

import pytest

from trunkline.contracts.errors import Invalid
from trunkline.contracts.schedule import ChangeSchedule, Missed, Recurrence, Schedule, task_of
from trunkline.contracts.task import Assignment
from trunkline_router.model.schedules import LATE, changed, checked, following, rung

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def moments(cron: str, after: str, number: int, zone: str = "Europe/Berlin") -> list[str]:
    """In UTC, without the year."""
    when, found, moment = Recurrence(cron=cron, time_zone=zone), [], at(after)
    for _ in range(number):
        following_moment = following(when, moment, NOW)
        assert following_moment
        moment = following_moment
        found.append(moment.strftime("%m-%d %H:%M"))
    return found


def test_a_time_of_the_day_is_that_of_its_zone_in_winter_and_in_summer() -> None:
    assert moments("0 9 * * 1-5", "2026-03-27T12:00Z", 2) == ["03-30 07:00", "03-31 07:00"]
    assert moments("0 9 * * *", "2026-03-27T12:00Z", 2) == ["03-28 08:00", "03-29 07:00"]


def test_what_the_clock_leaves_out_is_due_right_after_and_once() -> None:
    assert moments("30 2 * * *", "2026-03-28T12:00Z", 2) == ["03-29 01:00", "03-30 00:30"]


def test_what_the_clock_brings_twice_is_due_once() -> None:
    assert moments("30 2 * * *", "2026-10-24T12:00Z", 2) == ["10-25 00:30", "10-26 01:30"]


def test_every_hour_is_every_hour_that_there_is() -> None:
    assert moments("0 * * * *", "2026-10-24T23:30Z", 4) == ["10-25 00:00", "10-25 01:00", "10-25 02:00", "10-25 03:00"]
    assert moments("0 * * * *", "2026-03-29T00:30Z", 2) == ["03-29 01:00", "03-29 02:00"]


def test_every_so_many_seconds_counts_from_when_it_was_made_and_never_drifts() -> None:
    when = Recurrence(every_s=90)
    assert following(when, NOW, NOW) == NOW + timedelta(seconds=90)
    assert following(when, NOW + timedelta(seconds=100), NOW) == NOW + timedelta(seconds=180)
    assert following(when, NOW + timedelta(seconds=180), NOW) == NOW + timedelta(seconds=270)


@pytest.mark.parametrize(
    ("when", "code"),
    [
        (Recurrence(), "INVALID_SCHEDULE"),
        (Recurrence(cron="* * * * *", every_s=60), "INVALID_SCHEDULE"),
        (Recurrence(cron="* * * * * *"), "INVALID_CRON"),
        (Recurrence(cron="61 * * * *"), "INVALID_CRON"),
        (Recurrence(cron="often"), "INVALID_CRON"),
        (Recurrence(cron="0 0 30 2 *"), "INVALID_CRON"),
        (Recurrence(cron="0 0 * * *", time_zone="Mars/Olympus"), "UNKNOWN_TIME_ZONE"),
        (Recurrence(cron="0 0 * * *", time_zone="../../etc/passwd"), "UNKNOWN_TIME_ZONE"),
    ],
)
def test_what_says_no_moment_is_refused(when: Recurrence, code: str) -> None:
    with pytest.raises(Invalid) as refusal:
        checked(when)
    assert refusal.value.code == code


def hourly(missed: Missed) -> Schedule:
    return Schedule(
        tenant="acme", schedule_id="s1", when=Recurrence(cron="0 * * * *"), missed=missed, assignment=Assignment(), created_by="ann",
        created_at=NOW, updated_at=NOW,
    )  # fmt: skip


MOMENT = at("2026-03-01T13:00Z")


def test_an_alarm_in_time_makes_a_task_and_the_next_is_an_hour_later() -> None:
    for late in (timedelta(), LATE):
        assert rung(hourly(Missed.SKIP), MOMENT, MOMENT + late) == (MOMENT, MOMENT + timedelta(hours=1))


def test_moments_that_were_missed_make_no_task_or_one_for_all() -> None:
    after_five_hours = MOMENT + timedelta(hours=5, minutes=10)
    following_moment = MOMENT + timedelta(hours=6)
    assert rung(hourly(Missed.SKIP), MOMENT, after_five_hours) == (None, following_moment)
    assert rung(hourly(Missed.ONCE), MOMENT, after_five_hours) == (MOMENT, following_moment)


def change(schedule: Schedule, at: datetime, **wanted: object) -> Schedule:
    return changed(schedule, ChangeSchedule.model_validate({"tenant": "acme", "at": at, "schedule_id": "s1", "by": "bob", **wanted}))


def test_a_change_keeps_what_is_not_named_and_a_moment_that_came_already_has_its_task() -> None:
    waits = hourly(Missed.SKIP).model_copy(update={"next_at": MOMENT})
    before, after = MOMENT - timedelta(minutes=1), MOMENT + timedelta(seconds=1)
    assert change(waits, before, cron="0 * * * *") is waits
    moved = change(waits, before, time_zone="Europe/Berlin", cron="30 6 * * *")
    assert (moved.next_at, moved.changed_by, moved.missed) == (at("2026-03-02T05:30Z"), "bob", Missed.SKIP)
    assert change(waits, after, every_s=90).next_at == MOMENT, "it came before the change"
    assert change(waits, before, every_s=90).next_at == NOW + 40 * timedelta(seconds=90)
    assert change(waits, after, missed=Missed.ONCE).next_at == MOMENT


def test_what_passes_during_a_pause_is_never_made_up_for() -> None:
    waits = hourly(Missed.ONCE).model_copy(update={"next_at": MOMENT})
    paused = change(waits, MOMENT + timedelta(seconds=1), paused=True)
    assert (paused.next_at, paused.changed_by) == (None, ""), "whoever pauses it takes nothing over"
    assert change(paused, MOMENT + timedelta(hours=2), cron="0 5 * * *").next_at is None
    assert change(paused, MOMENT + timedelta(hours=2), paused=False).next_at == MOMENT + timedelta(hours=3)


def test_cron_that_cannot_be_read_is_told_by_its_field() -> None:
    with pytest.raises(Invalid, match=r"there is no day of the week 'fryday'"):
        checked(Recurrence(cron="0 6 * * fryday"))


def test_a_moment_of_a_schedule_has_one_task_and_others_have_others() -> None:
    ids = {
        task_of("acme", "s1", MOMENT),
        task_of("acme", "s1", MOMENT + timedelta(hours=1)),
        task_of("acme", "s2", MOMENT),
        task_of("b", "s1", MOMENT),
    }
    assert len(ids) == 4
    assert task_of("acme", "s1", MOMENT) in ids
    assert all(len(one) == 32 for one in ids)
