"""Which lane comes first at which turn: the urgent, with a guaranteed share for the others."""

from collections import Counter

from trunkline.bus.lanes import LANES, search


def test_the_urgent_comes_first() -> None:
    assert search(1) == search(7) == LANES == ("P0", "P1", "P2", "P3")


def test_every_lane_has_its_turn_and_the_urgent_has_what_it_leaves() -> None:
    assert Counter(search(turn)[0] for turn in range(1, 17)) == {"P0": 12, "P1": 2, "P2": 1, "P3": 1}
    assert search(16) == ("P3", "P0", "P1", "P2")
