"""Who has a place: no cap is ever passed, whoever is next is next, and a place that is free is given to somebody it fits."""

from collections import Counter
from functools import reduce
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from trunkline.contracts.room import RoomAwaited, RoomEntered, RoomFact, RoomLeft, Sitter
from trunkline_router.model.room import MOST_COUNTED, MOST_GIVEN, Caps, Enter, Leave, Look, Room, RoomCue, counted, decide, evolve, folded

TWO = Caps(tenants={"acme": 2})


class Counted(dict[str, int]):
    """Says how often it was asked."""

    times = 0

    def get(self, *names: Any) -> Any:
        self.times += 1
        return super().get(*names)


def sitter(task: object, lane: str = "P2", repo: str = "acme/calc", agent: str = "dev") -> Sitter:
    return Sitter(task=str(task), lane=lane, repo=repo, agent=agent)


def after(*cues: RoomCue, caps: Caps = TWO) -> tuple[Room, list[RoomFact]]:
    room, facts = Room(), list[RoomFact]()
    for cue in cues:
        for fact in decide(room, cue, "acme", caps):
            facts.append(fact)
            room = evolve(room, fact)
    return room, facts


def test_the_third_waits_for_the_end_of_one_of_two() -> None:
    room, facts = after(*(Enter(sitter(task)) for task in (1, 2, 3)), Leave("1"))
    assert facts == [
        RoomEntered(sitter=sitter(1)),
        RoomEntered(sitter=sitter(2)),
        RoomAwaited(sitter=sitter(3), full=("tenant",)),
        RoomLeft(task="1"),
        RoomEntered(sitter=sitter(3), waited=True),
    ]
    assert (set(room.inside), set(room.waiting)) == ({"2", "3"}, set())


def test_repeats_change_nothing() -> None:
    room, _ = after(Enter(sitter(1)), Enter(sitter(2)), Enter(sitter(3)))
    assert [decide(room, cue, "acme", TWO) for cue in (Enter(sitter(1)), Enter(sitter(3)), Leave("unknown"), Look())] == [[]] * 4


def test_what_is_cancelled_while_it_waits_gives_nobody_a_place() -> None:
    _, facts = after(*(Enter(sitter(task)) for task in (1, 2, 3, 4)), Leave("3"))
    assert facts[-1] == RoomLeft(task="3")


def test_who_waits_for_a_repository_does_not_hold_up_who_wants_another() -> None:
    caps = Caps(repositories={"*": 1})
    room, _ = after(Enter(sitter(1)), Enter(sitter(2)), Enter(sitter(3, repo="acme/other")), caps=caps)
    assert (set(room.inside), set(room.waiting)) == ({"1", "3"}, {"2"})


def test_what_is_full_is_named_and_a_name_counts_before_the_star() -> None:
    caps = Caps(tenants={"*": 1}, repositories={"acme/calc": 1}, agents={"*": 9, "dev": 1})
    _, facts = after(Enter(sitter(1)), Enter(sitter(2)), caps=caps)
    assert facts[-1] == RoomAwaited(sitter=sitter(2), full=("tenant", "repository", "agent"))
    assert not Caps().concern("acme", sitter(1)), "without a cap nobody asks"


def test_the_urgent_is_next_and_every_fourth_place_is_for_whoever_waits_longest() -> None:
    urgent = [Enter(sitter(f"u{number}", "P0")) for number in range(6)]
    one = Caps(tenants={"acme": 1})
    room, _ = after(Enter(sitter("first")), Enter(sitter("patient", "P3")), *urgent, caps=one)
    order = []
    while room.inside:
        (inside,) = room.inside
        order.append(inside)
        for fact in decide(room, Leave(inside), "acme", one):
            room = evolve(room, fact)
    assert order == ["first", "u0", "u1", "u2", "patient", "u3", "u4", "u5"]


def test_other_caps_are_heeded_at_the_next_look() -> None:
    room, _ = after(*(Enter(sitter(task)) for task in range(5)))
    given_now = [fact.sitter.task for fact in decide(room, Look(), "acme", Caps(tenants={"acme": 4})) if isinstance(fact, RoomEntered)]
    assert given_now == ["2", "3"]
    assert len(decide(room, Look(), "acme", Caps())) == 3


def test_one_record_names_no_more_than_a_message_may_be_long_and_the_next_look_goes_on() -> None:
    room = Room(waiting={str(task): sitter(task, repo=f"acme/{task % 7}") for task in range(MOST_GIVEN + 1)})
    first = decide(room, Look(), "acme", Caps())
    room = folded(room, first)
    assert (len(first), len(decide(room, Look(), "acme", Caps()))) == (MOST_GIVEN, 1)
    assert folded(Room(), first) == reduce(evolve, first, Room())


def test_thousands_that_wait_do_not_make_an_end_dear() -> None:
    """By how often a cap is looked up: each end is thought about while all others wait."""
    looked = Counted(dict.fromkeys(("acme/0", "acme/1"), 1))
    caps = Caps(tenants={"acme": 3}, repositories=looked)
    waiting = {str(task): sitter(task, repo=f"acme/{task % 2}") for task in range(2000)}
    room = Room(inside={"a": sitter("a", repo="acme/0"), "b": sitter("b", repo="acme/1")}, waiting=waiting)
    assert len(decide(room, Leave("a"), "acme", caps)) == 2
    assert looked.times < 10


def test_a_count_says_all_that_was_said_before_it() -> None:
    room, _ = after(*(Enter(sitter(task)) for task in range(5)))
    count = counted(room)
    assert count is not None
    assert evolve(Room(), count) == room
    assert counted(Room(inside={str(task): sitter(task) for task in range(MOST_COUNTED + 1)})) is None


CUES = st.lists(
    st.one_of(
        st.builds(
            lambda task, lane, repo: Enter(sitter(task, lane, repo)),
            st.integers(0, 12), st.sampled_from(["P0", "P2", "P3"]), st.sampled_from(["a", "b"]),
        ),
        st.builds(lambda task: Leave(str(task)), st.integers(0, 12)),
    )
)  # fmt: skip


@given(cues=CUES)
def test_no_cap_is_ever_passed_and_nobody_waits_for_a_place_that_is_free(cues: list[RoomCue]) -> None:
    caps = Caps(tenants={"acme": 3}, repositories={"*": 2})
    room, _ = after(*cues, caps=caps)
    assert len(room.inside) <= 3
    assert max(Counter(one.repo for one in room.inside.values()).values(), default=0) <= 2
    assert decide(room, Look(), "acme", caps) == []
    assert not set(room.inside) & set(room.waiting)
