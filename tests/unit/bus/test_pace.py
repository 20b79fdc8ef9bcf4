"""Messages are let gather only while they come fast."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.bus.pace import ENOUGH, FAST, FEW, SLOW, Pace


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def after(pace: Pace, clock: Clock, messages: int, seconds: float) -> bool:
    for _ in range(messages):
        pace.came()
    clock.now += seconds
    return pace.turn()


def test_messages_that_come_fast_are_let_gather_and_those_that_do_not_are_read_as_they_come() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert not pace.brisk
    assert not after(pace, clock, ENOUGH, ENOUGH / FAST * 1.01)
    assert after(pace, clock, ENOUGH, ENOUGH / FAST * 0.99)


def test_a_few_at_the_same_moment_are_not_fast() -> None:
    clock = Clock()
    assert not after(Pace(clock), clock, ENOUGH - 1, 0.0)


def test_it_takes_more_than_one_poor_reading_to_be_slow_again() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert after(pace, clock, ENOUGH, 0.0)
    for _ in range(3):
        assert [after(pace, clock, FEW - 1, 0.02) for _ in range(SLOW - 1)] == [True] * (SLOW - 1)
        assert after(pace, clock, FEW, 0.02)
    assert [after(pace, clock, 0, 0.02) for _ in range(SLOW)] == [True] * (SLOW - 1) + [False]
    assert not after(pace, clock, FEW, 0.02)
