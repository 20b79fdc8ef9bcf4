"""A replay keeps the pace of what happened, divided by its speed, and leaves nothing out whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import Invalid
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.record import Event, Gap
from trunkline.contracts.run import AgentOutput, Said
from trunkline.contracts.task import TaskCancelled
from trunkline_gateway.ports import Timeline
from trunkline_gateway.usecases.replay import FASTEST, LONGEST, SLOWEST, Pace, Place, Replay, before, place

BEGAN = datetime(2025, 1, 1, tzinfo=UTC)
TENANT, TASK = TenantId("t"), TaskId("x")


def after(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def dues(speed: float, *seconds: float) -> list[float]:
    pace = Pace(speed)
    return [round(pace.due(after(each)), 6) for each in seconds]


def test_events_are_as_far_apart_as_they_were_divided_by_the_speed() -> None:
    assert dues(1, 5, 6, 8.5) == [0, 1, 3.5]
    assert dues(10, 5, 6, 8.5) == [0, 0.1, 0.35]
    assert dues(0.1, 5, 6, 8.5) == [0, 10, 35]


def test_a_long_pause_counts_as_a_minute() -> None:
    assert dues(1, 0, 3600, 3601) == [0, 60, 61]
    assert dues(60, 0, 86400) == [0, 1]


def test_clocks_that_disagree_make_nobody_wait_twice() -> None:
    assert dues(1, 10, 8, 9, 11) == [0, 0, 0, 1]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.floats(SLOWEST, FASTEST))
def test_what_comes_later_is_never_due_earlier_and_no_wait_is_longer_than_a_minute_of_the_time_told(
    seconds: list[float], speed: float
) -> None:
    pace, last = Pace(speed), 0.0
    for each in seconds:
        due = pace.due(after(each))
        assert 0 <= due - last <= LONGEST / speed + 1e-6
        last = due


def test_a_replay_from_an_event_begins_with_it() -> None:
    assert before(Cursor("k", 5, 2)) == Cursor("k", 5, 1)
    assert Cursor("k", 4, 999) < before(Cursor("k", 5)) < Cursor("k", 5)  # type: ignore[operator]
    assert before(Cursor("k", 0)) is None


def test_what_a_reader_saw_last_wins_over_where_it_began() -> None:
    assert place("k-7", "k-3", 2.0) == Place(Cursor("k", 7), 2.0)
    assert place("", "k-3.1") == Place(Cursor("k", 3))
    assert place(None, None) == Place()
    with pytest.raises(Invalid):
        place(None, "nonsense")


@dataclass
class World:
    """A task that goes on while it is told; the clock moves only where somebody waits."""

    events: list[Event] = field(default_factory=list)
    time: float = 0.0
    waits: list[float] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None

    def happen(self, at: float, *, ends: bool = False) -> None:
        seq = len(self.events) + 1
        fact = TaskCancelled(by="a", reason="") if ends else AgentOutput(attempt=1, line=seq, kind=Said.MESSAGE, text=str(seq))
        self.events.append(Event(Cursor("k", seq), TENANT, TASK, "output", after(at), fact))

    async def page(self, timeline: Timeline, after: Cursor | None, limit: int) -> tuple[tuple[Event | Gap, ...], bool]:
        gap: list[Event | Gap] = [Gap(after, Cursor("k", 1))] if after and after.epoch != "k" else []
        rest = self.events[after.seq if after and not gap else 0 :]
        return tuple(gap + rest)[:limit], len(gap) + len(rest) > limit

    async def sleep(self, seconds: float) -> None:
        self.waits.append(round(seconds, 6))
        self.time += seconds
        self.meanwhile()

    async def told(self, speed: float = 1.0, begin: Cursor | None = None, end: int | None = None) -> list[str]:
        replay = Replay(self, lambda: self.time, self.sleep)  # type: ignore[arg-type]  # all of a feed that a replay needs
        items = replay.history(Timeline(TENANT, TASK, end), begin, speed)
        return [str(item.cursor.seq) if isinstance(item, Event) else "gap" async for item in items]


async def test_a_task_that_is_over_is_told_at_its_pace_to_its_end_and_no_further() -> None:
    world = World()
    for second in (0, 1, 3):
        world.happen(second)
    world.happen(3, ends=True)
    world.happen(9)
    assert await world.told(2.0, end=4) == ["1", "2", "3", "4"]
    assert world.waits == [0.5, 1.0]


async def test_who_has_seen_the_end_is_told_nothing_more() -> None:
    world = World()
    world.happen(0, ends=True)
    world.happen(9)
    assert await world.told(begin=Cursor("k", 1), end=1) == []


async def test_hundreds_of_events_are_read_piece_by_piece_and_none_is_told_twice() -> None:
    world = World()
    for number in range(500):
        world.happen(number / 1000)
    assert await world.told(100.0) == [str(number + 1) for number in range(500)]
    assert sum(world.waits) == pytest.approx(0.499 / 100, abs=0.002)  # waits too short for a timer are not waited


async def test_what_happens_while_history_is_told_is_told_too_and_then_the_reader_has_caught_up() -> None:
    world = World()
    for second in (0, 10):
        world.happen(second)
    world.meanwhile = lambda: world.happen(20) if len(world.events) < 5 else None
    assert await world.told() == ["1", "2", "3", "4"]
    assert world.waits == [10.0, 10.0]


async def test_what_is_lost_is_said_and_the_rest_follows_from_the_beginning() -> None:
    world = World()
    world.happen(0)
    world.happen(1, ends=True)
    assert await world.told(begin=Cursor("other", 7), end=2) == ["gap", "1", "2"]


async def test_a_reader_that_lags_is_not_made_to_wait_for_what_is_due_already() -> None:
    world = World()
    for second in (0, 1, 2, 10):
        world.happen(second)
    replay = Replay(world, lambda: world.time, world.sleep)  # type: ignore[arg-type]
    async for item in replay.history(Timeline(TENANT, TASK), None, 1.0):
        if isinstance(item, Event) and item.cursor.seq == 1:
            world.time += 5
    assert world.waits == [5.0]
