"""Which lane is asked next: the urgent first, a guaranteed share for the others, and no question where nothing can be."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from trunkline.bus.lanes import BELIEVED, LANES, SHARES, SOON, Lanes, search


def taken(waiting: dict[str, int], turns: int) -> list[str]:
    """From which lanes so many takes come, when so much waits in each."""
    lanes, found, now = Lanes(), [], 100.0
    for _ in range(turns):
        while (lane := lanes.next(now)) is not None:
            if waiting.get(lane):
                waiting[lane] -= 1
                lanes.took(lane)
                found.append(lane)
                break
            lanes.emptied(lane, now)
    return found


def test_the_urgent_comes_first() -> None:
    assert search(1) == search(7) == LANES == ("P0", "P1", "P2", "P3")
    assert taken({"P0": 1, "P1": 1, "P2": 1, "P3": 1}, 4) == ["P0", "P1", "P2", "P3"]


def test_every_lane_has_its_turn_and_the_urgent_has_what_it_leaves() -> None:
    assert Counter(search(turn)[0] for turn in range(1, 17)) == {"P0": 12, "P1": 2, "P2": 1, "P3": 1}
    assert search(16) == ("P3", "P0", "P1", "P2")


def test_a_turn_that_a_lane_does_not_need_goes_to_the_most_urgent() -> None:
    assert taken({"P0": 15, "P3": 9}, 16) == ["P0"] * 15 + ["P3"]


@given(lane=st.sampled_from(["P1", "P2", "P3"]), before=st.integers(0, 40), more=st.sets(st.sampled_from(LANES)))
def test_what_waits_in_any_lane_is_taken_within_its_share_however_much_else_there_is(lane: str, before: int, more: set[str]) -> None:
    endless = {**dict.fromkeys(more | {"P0"}, 10**6), lane: 10**6}
    share = next(every for every, boosted in SHARES if boosted == lane)
    follows = taken(endless, before + 2 * share)[before:]
    assert lane in follows


def quiet(now: float) -> Lanes:
    """Lanes that were all found empty."""
    lanes = Lanes()
    for lane in LANES:
        assert lanes.next(now) == lane
        lanes.emptied(lane, now)
    return lanes


def test_a_lane_that_had_nothing_is_not_asked_until_its_bell_rings_or_a_second_has_passed() -> None:
    lanes = quiet(10.0)
    assert (lanes.next(10.5), lanes.quiet_until()) == (None, 10.0 + BELIEVED)
    lanes.ring("P2")
    assert (lanes.next(10.5), lanes.quiet_until()) == ("P2", 0.0)
    lanes.took("P2")
    lanes.emptied("P2", 10.5)
    assert lanes.next(10.5) is None, "every bell was answered: nothing more can be there"
    assert lanes.next(10.0 + BELIEVED) == "P0"


def test_a_lane_whose_bell_rang_is_asked_again_soon_and_then_believed() -> None:
    lanes, now = quiet(10.0), 10.1
    lanes.ring("P2")
    for pause in SOON:
        assert lanes.next(now) == "P2"
        lanes.emptied("P2", now)
        assert lanes.next(now) is None
        now += pause
    assert lanes.next(now) == "P2"
    lanes.emptied("P2", now)
    assert lanes.next(now + SOON[-1]) is None, "others took it"


def test_a_bell_that_rings_while_its_lane_is_asked_is_not_forgotten() -> None:
    lanes = quiet(10.0)
    lanes.ring("P0")
    assert lanes.next(10.1) == "P0"
    lanes.ring("P0")
    lanes.took("P0")
    lanes.emptied("P0", 10.1)
    assert lanes.next(10.1 + SOON[0]) == "P0"


def test_after_an_outage_every_lane_may_hold_something() -> None:
    lanes = quiet(10.0)
    lanes.doubt()
    assert lanes.next(10.0) == "P0"


def test_the_bell_of_a_lane_that_is_none_changes_nothing() -> None:
    lanes = quiet(10.0)
    lanes.ring("P9")
    assert lanes.next(10.0) is None
