"""Which line is asked next: lanes as they age, tenants in fair turns, and no question where nothing can be."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.bus.lanes import LANES, SHARES
from trunkline.bus.lines import BELIEVED, LOOKS, SELDOM, SILENT, SOON, Lines
from trunkline.bus.shares import Turns
from trunkline.contracts.subjects import Line, parse_work, work, work_before, work_of

A, B = Line("P2", "acme"), Line("P2", "beta")


def taken(waiting: dict[Line, int], turns: int, weights: dict[str, float] | None = None) -> list[Line]:
    """From which lines so many takes come, when so much waits in each."""
    lines, found, now = Lines(weights), [], 100.0
    lines.held(waiting, now)
    for _ in range(turns):
        while (line := lines.next(now)) is not None:
            if waiting.get(line):
                waiting[line] -= 1
                lines.took(line)
                found.append(line)
                break
            lines.emptied(line, now)
    return found


def lanes(of: list[Line]) -> list[str]:
    return [line.lane for line in of]


def of_one(waiting: dict[str, int]) -> dict[Line, int]:
    return {Line(lane, "acme"): number for lane, number in waiting.items()}


def test_the_urgent_comes_first() -> None:
    assert lanes(taken(of_one({"P0": 1, "P1": 1, "P2": 1, "P3": 1}), 4)) == ["P0", "P1", "P2", "P3"]


def test_a_turn_that_a_lane_does_not_need_goes_to_the_most_urgent() -> None:
    assert lanes(taken(of_one({"P0": 15, "P3": 9}), 16)) == ["P0"] * 15 + ["P3"]


@given(lane=st.sampled_from(["P1", "P2", "P3"]), before=st.integers(0, 40), more=st.sets(st.sampled_from(LANES)))
def test_what_waits_in_any_lane_is_taken_within_its_share_however_much_else_there_is(lane: str, before: int, more: set[str]) -> None:
    endless = {**dict.fromkeys(more | {"P0"}, 10**6), lane: 10**6}
    share = next(every for every, boosted in SHARES if boosted == lane)
    assert lane in lanes(taken(of_one(endless), before + 2 * share)[before:])


def test_tenants_of_a_lane_take_turns_however_much_each_brings() -> None:
    found = taken({A: 1000, B: 5, Line("P2", "gamma"): 5}, 15)
    assert Counter(line.tenant for line in found) == {"acme": 5, "beta": 5, "gamma": 5}
    assert all(len({line.tenant for line in found[turn : turn + 3]}) == 3 for turn in range(0, 15, 3))


def test_a_tenant_has_as_many_turns_as_its_weight_says() -> None:
    found = taken({A: 1000, B: 1000}, 80, {"acme": 3})
    assert Counter(line.tenant for line in found) == {"acme": 60, "beta": 20}


def waits(noisy: int) -> list[int]:
    """Turns that each task of four tenants waits, with turns for just five such, when a fifth brings `noisy` times as much."""
    lines, waiting, waited = Lines(), dict[str, list[int]](), []
    for turn in range(600):
        if turn % 100 == 0:
            for tenant, brings in (("acme", 20 * noisy), ("beta", 20), ("gamma", 20), ("delta", 20), ("epsilon", 20)):
                waiting.setdefault(tenant, []).extend([turn] * brings)
                lines.ring(Line("P2", tenant))
        while (line := lines.next(turn)) and not waiting[line.tenant]:
            lines.emptied(line, turn)
        if line:
            lines.took(line)
            came = waiting[line.tenant].pop(0)
            waited += [turn - came] if line.tenant != "acme" else []
    return sorted(waited)


def test_a_tenant_that_brings_a_hundred_times_as_much_does_not_lengthen_the_waits_of_others_by_more_than_half() -> None:
    usual, crowded = waits(noisy=1), waits(noisy=100)
    p95 = [waited[len(waited) * 95 // 100] for waited in (usual, crowded)]
    print(f"{len(usual)} and {len(crowded)} tasks of the others, p95 in turns: {p95}")
    assert len(crowded) == len(usual) == 480
    assert p95[1] <= 1.5 * p95[0]


def test_whoever_comes_back_at_once_has_not_been_forgotten_and_whoever_was_away_saves_nothing_up() -> None:
    turns = Turns()
    order = []
    for _ in range(6):  # acme brings one task whenever its last was taken
        order.append(turns.next(["acme", "beta"]))
        turns.took(order[-1])
    assert order == ["acme", "beta"] * 3
    for _ in range(50):
        turns.took("beta")
    for _ in range(4):
        order.append(turns.next(["acme", "beta"]))
        turns.took(order[-1])
    assert order[6:] == ["acme", "beta"] * 2


def test_as_much_is_thought_to_wait_as_rang_or_was_told_and_one_at_least() -> None:
    lines = Lines()
    lines.held([A], 100.0)
    assert lines.waiting(A) == 1
    lines.took(A, behind=4)
    assert lines.waiting(A) == 4
    lines.emptied(A, 100.0)
    assert lines.waiting(A) == 1
    for _ in range(3):
        lines.ring(A)
    assert (lines.waiting(A), lines.waiting(B)) == (3, 1)


def test_turns_remember_nobody_for_longer_than_it_matters() -> None:
    turns = Turns()
    for number in range(1000):
        turns.took(f"tenant-{number}")
        turns.took("acme")
    assert len(turns._ends) <= 1000
    turns.took("acme")
    turns.took("acme")
    assert len(turns._ends) == 1


def quiet(now: float) -> Lines:
    """Two lines that were found empty, at a moment at which everything was looked through."""
    lines = Lines()
    lines.held([A, B], now)
    for line in (A, B):
        assert lines.next(now) == line
        lines.emptied(line, now)
    return lines


def test_a_line_that_had_nothing_is_not_asked_until_its_bell_rings_or_a_second_has_passed() -> None:
    lines = quiet(10.0)
    assert (lines.next(10.5), lines.quiet_until()) == (None, 10.0 + BELIEVED)
    lines.ring(B)
    assert (lines.next(10.5), lines.quiet_until()) == (B, 0.0)
    lines.took(B)
    lines.emptied(B, 10.5)
    assert lines.next(10.5) is None, "every bell was answered: nothing more can be there"
    assert lines.next(10.0 + BELIEVED) == A


def test_a_line_whose_bell_rang_is_asked_again_soon_and_then_believed() -> None:
    lines, now = quiet(10.0), 10.1
    lines.ring(B)
    for pause in SOON:
        assert lines.next(now) == B
        lines.emptied(B, now)
        assert lines.next(now) is None
        now += pause
    assert lines.next(now) == B
    lines.emptied(B, now)
    assert lines.next(now + SOON[-1]) is None, "others took it"


def test_a_bell_that_rings_while_its_line_is_asked_is_not_forgotten() -> None:
    lines = quiet(10.0)
    lines.ring(A)
    assert lines.next(10.1) == A
    lines.ring(A)
    lines.took(A)
    lines.emptied(A, 10.1)
    assert lines.next(10.1 + SOON[0]) == A


def test_lines_that_hold_nothing_are_forgotten_unless_their_bell_rang_meanwhile() -> None:
    lines = quiet(10.0)
    lines.ring(B)
    assert [lines.looks(now) for now in (10.9, 10.0 + BELIEVED)] == [False, True]
    lines.held([], 11.0)
    assert lines.next(20.0) == B
    lines.took(B)
    lines.held([], 12.0)
    assert (lines.next(20.0), lines.quiet_until()) == (None, 12.0 + BELIEVED)


def test_a_look_that_had_no_answer_changes_nothing_and_is_made_again() -> None:
    lines = quiet(10.0)
    lines.held(None, 11.0)
    assert (lines.next(11.0), lines.looks(12.0)) == (A, True)


def looked(lines: Lines, held: list[Line], now: float, many: int) -> list[float]:
    """Seconds between one look and the next, of so many that find the same."""
    pauses = []
    for _ in range(many):
        lines.held(held, now)
        pauses.append(lines.quiet_until() - now)
        now += pauses[-1]
        assert lines.looks(now)
        assert not lines.looks(now - 0.01)
    return pauses


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_looks_that_tell_what_is_known_grow_rarer_and_not_all_at_once_until_one_tells_more(chance: float) -> None:
    lines = Lines(chance=lambda: chance)
    least = [min(2 * BELIEVED, SELDOM), min(4 * BELIEVED, SELDOM), SELDOM, SELDOM]
    assert looked(lines, [], 100.0, 4) == pytest.approx([pause * (1 - chance / 4) for pause in least])
    lines.held([A], 200.0)
    assert lines.looks(200.0 + BELIEVED), "a bell was missed: there may be more of that"
    looked(lines, [], 300.0, 4)
    lines.doubt()
    assert lines.looks(300.0)
    lines.held([], 300.0)
    assert lines.looks(300.0 + 2 * BELIEVED)


def test_what_comes_back_is_found_within_a_second_however_rare_looks_are() -> None:
    lines = Lines()
    asked = [now for tenth in range(600) if (now := 100.0 + tenth / 10) and carried_on(lines, now)]
    assert max(later - earlier for earlier, later in pairwise(asked)) <= BELIEVED + 0.11


def carried_on(lines: Lines, now: float) -> bool:
    """Whether a line is asked in which something is carried all the time."""
    if lines.looks(now):
        lines.held([A], now)
    if lines.next(now) != A:
        return False
    lines.emptied(A, now)
    return True


def test_a_line_that_does_not_answer_keeps_nobody_waiting_whatever_rings_there() -> None:
    lines = Lines()
    for _ in range(9):
        lines.ring(A)
        lines.ring(B)
    assert lines.next(10.0) == A
    lines.silent(A, 10.0)
    for _ in range(5):
        lines.ring(A)
        assert lines.next(10.0 + SILENT / 2) == B
        lines.took(B)
    assert lines.next(10.0 + SILENT) == A, "it is asked again, however much the others bring"
    lines.silent(A, 10.0 + SILENT)
    assert (lines.next(10.0 + SILENT), lines.some_silent) == (B, True)


def test_lines_that_do_not_answer_are_tried_by_turns_and_all_together_as_seldom_as_one() -> None:
    lines, asked = Lines(), []
    silent = [Line("P2", f"silent-{number}") for number in range(5)]
    for line in (*silent, B):
        lines.ring(line)
    for tenth in range(100):
        while (line := lines.next(now := 100.0 + tenth / 10)) in silent:
            lines.silent(line, now)
            asked.append(line)
        assert line == B
    assert asked[5:10] == silent
    assert len(asked) <= 5 + 10 / SILENT


def test_a_line_that_speaks_again_is_as_any_other_and_so_are_those_that_wait_to_be_tried() -> None:
    lines = Lines()
    lines.held([A, B], 10.0)
    for line in (A, B):
        lines.silent(line, 10.0)
    assert (lines.next(10.1), lines.quiet_until()) == (None, 10.0 + SILENT)
    assert lines.next(10.0 + SILENT) == A
    lines.took(A)
    assert lines.next(10.0 + SILENT) == B, "none that is well again waits for another's pause"
    lines.emptied(B, 10.0 + SILENT)
    assert (lines.some_silent, lines.next(10.0 + SILENT)) == (False, A)


def test_after_an_outage_those_that_did_not_answer_are_asked_too() -> None:
    lines = quiet(10.0)
    lines.silent(A, 10.5)
    lines.doubt()
    assert (lines.some_silent, lines.next(10.5)) == (False, A)


def test_of_a_line_that_holds_nothing_it_is_forgotten_that_it_did_not_answer() -> None:
    lines = quiet(10.0)
    lines.silent(A, 10.5)
    lines.held([B], 11.0)
    assert (lines.some_silent, lines.next(11.0 + SILENT)) == (False, B)


def test_many_lines_of_which_all_is_carried_are_asked_no_more_often_than_a_few_a_second() -> None:
    many = [Line("P2", f"tenant-{number}") for number in range(10 * LOOKS)]
    lines = Lines()
    asked = 0
    for tenth in range(600):
        now = 100.0 + tenth / 10
        if lines.looks(now):
            lines.held(many, now)
        while line := lines.next(now):
            lines.emptied(line, now)
            asked += 1
    assert asked <= 60 * LOOKS + len(many)


def test_after_an_outage_everything_may_hold_something() -> None:
    lines = quiet(10.0)
    lines.doubt()
    assert (lines.next(10.0), lines.looks(10.0)) == (A, True)


def test_the_bell_of_a_lane_that_is_none_changes_nothing() -> None:
    lines = quiet(10.0)
    lines.ring(Line("P9", "acme"))
    assert lines.next(10.0) is None


@pytest.mark.parametrize(
    ("subject", "line"),
    [
        (work("dev", "P2", "acme"), A),
        (f"live.{work('dev', 'P2', 'acme')}", A),
        ("work.dev.P2.acme", Line("P2", "")),
        ("work.dev", None),
        ("evt.acme.t.task", None),
    ],
)
def test_a_subject_names_its_line(subject: str, line: Line | None) -> None:
    assert parse_work(subject) == line


def test_no_line_lies_within_the_lanes_of_earlier_versions_though_its_tenant_be_called_like_one() -> None:
    assert not work("dev", "P0", "P0").startswith(work_before("dev", "P0").rstrip(">"))
    assert (work_of("dev"), work_of("dev", "acme")) == ("work.dev.>", "work.dev.line.*.acme")
