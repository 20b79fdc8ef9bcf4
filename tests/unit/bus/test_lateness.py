"""How late a command is, whatever the clocks of the two machines say."""

from __future__ import annotations

import pytest

from trunkline.bus import lateness
from trunkline.bus.lateness import MOST_SENDERS, WINDOW, Lateness


class Hand:
    now = 1000.0


@pytest.mark.parametrize("apart", [0.0, -86_400.0, 86_400.0])
def test_a_clock_that_is_a_day_off_makes_no_command_late_and_a_frozen_owner_does(apart: float) -> None:
    hand = Hand()
    late = Lateness(lambda: hand.now)
    assert late.left(f"gw {hand.now + apart} 8") == 8
    said = f"gw {hand.now + apart} 8"
    hand.now += 3
    assert late.left(said) == pytest.approx(5)
    hand.now += 6
    assert late.left(said) < 0
    assert late.left(f"gw {hand.now + apart} 8") == pytest.approx(8)


def test_what_clocks_drift_apart_is_forgotten_and_so_are_senders() -> None:
    hand = Hand()
    late = Lateness(lambda: hand.now)
    for step in range(40):
        at, hand.now = hand.now, hand.now + WINDOW / 4
        assert late.left(f"gw {hand.now - 0.05 * step} 8") > 7.2, at
    for sender in range(2 * MOST_SENDERS):
        late.left(f"{sender} 0 8")
    assert len(late._quickest) == MOST_SENDERS


def test_what_is_sent_is_read() -> None:
    assert 7.9 < Lateness().left(lateness.sent(8.0)) <= 8.0
