"""Tasks that nobody takes: how long they rest, and that whoever wants them later need not wait for it."""

from types import SimpleNamespace
from typing import Any, cast

from trunkline_router.handlers.lease_rest import FIRST, LEAST_LOOKS, MOST, MOST_LOOKS, RESTED, Resting, rest_s
from trunkline_router.ports import Handed


def handed(place: int, lane: str = "P2") -> Handed:
    return cast(Any, SimpleNamespace(place=place, item=SimpleNamespace(priority=lane)))


def anything(_: str) -> bool:
    return True


def places(found: list[Handed]) -> list[int]:
    return [one.place for one in found]


def test_each_rest_is_longer_than_the_one_before_and_of_a_few_none_is_long() -> None:
    assert [rest_s(3, times) for times in (1, 2, 3)] == [FIRST, 2 * FIRST, 4 * FIRST]
    assert {rest_s(resting, times) for resting in (1, 200) for times in (10, 100_000)} == {RESTED}


def test_of_thousands_no_more_are_looked_at_in_a_second_than_a_router_has_time_for() -> None:
    assert [1000 / rest_s(1000, times) for times in (1, 100)] == [MOST_LOOKS, LEAST_LOOKS]


def test_what_is_wanted_comes_by_its_lane_and_then_in_its_order() -> None:
    resting = Resting()
    for place, lane in ((3, "P2"), (4, "P0"), (2, "P0"), (1, "P2")):
        resting.put(handed(place, lane), "review", 10.0)
    assert places(resting.wanted(anything, 3, 0.0)) == [2, 4, 1]
    assert places(resting.wanted(anything, 3, 0.0)) == [3]


def test_only_the_types_that_are_wanted_come() -> None:
    resting = Resting()
    resting.put(handed(1), "review", 10.0)
    resting.put(handed(2), "deploy", 10.0)
    assert places(resting.wanted(lambda kind: kind == "deploy", 5, 0.0)) == [2]
    assert len(resting) == 1


def test_what_comes_by_itself_is_not_called() -> None:
    resting = Resting()
    resting.put(handed(1), "review", 5.0)
    resting.put(handed(2), "review", 10.0)
    resting.put(handed(3), "review", 10.0)
    resting.seen(2)
    assert places(resting.wanted(anything, 5, 6.0)) == [3]
    assert not resting


def test_one_that_rests_once_more_is_called_once() -> None:
    resting = Resting()
    resting.put(handed(1), "review", 5.0)
    resting.put(handed(1), "deploy", 10.0)
    assert [resting.seen(2), len(resting)] == [None, 1]
    assert places(resting.wanted(anything, 5, 0.0)) == [1]
    assert places(resting.wanted(anything, 5, 0.0)) == []


def test_no_more_are_remembered_than_there_is_room_for_and_those_that_came_first_are() -> None:
    resting = Resting()
    for place in range(MOST + 10):
        resting.put(handed(place), "review", 10.0)
    resting.put(handed(0), "review", 20.0)
    assert len(resting) == MOST
    assert places(resting.wanted(anything, MOST, 0.0)) == [*range(MOST)]
