"""Webhooks of one host on a played clock: a bad one takes nothing from the others, and what waits is told in turn."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from trunkline_relay.model import hosts
from trunkline_relay.model.hosts import Host, Key, Waiting
from trunkline_relay.model.lines import FAILURES, FIRST_REST, LONGEST_REST, Line, Sign

TIMEOUT = 15.0
SLOTS = 32
FOR_EVER = 1e9
Answer = Callable[[float], tuple[float, Sign]]
"""Seconds that a request begun then takes, and what it says."""


def key(name: str) -> Key:
    return Key("acme", f"wh_{name}", f"https://hooks.example.com/{name}")


def well(_: float) -> tuple[float, Sign]:
    return 0.01, Sign.WELL


def hangs(_: float) -> tuple[float, Sign]:
    return TIMEOUT, Sign.SILENT


def late(_: float) -> tuple[float, Sign]:
    return 5.0, Sign.WELL


def ill(_: float) -> tuple[float, Sign]:
    return 0.01, Sign.ILL


def away(_: float) -> tuple[float, Sign]:
    return 0.01, Sign.SILENT


def until(end: float, before: Answer, after: Answer = well) -> Answer:
    return lambda now: before(now) if now < end else after(now)


@dataclass
class Played:
    """One host: what comes is told at once or waits for its turn, as `Deliver` and `WakeDeliveries` do it."""

    answers: dict[str, Answer]
    host: Host = field(default_factory=lambda: Host(SLOTS))
    told: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """When each request of a webhook began."""
    done: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """When each that went well ended."""
    most: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _due: list[tuple[float, int, str, int]] = field(default_factory=list)
    _count: int = 0

    def come(self, name: str, *ats: float) -> None:
        for at in ats:
            self._push(at, name, 0)

    def play(self, end: float) -> None:
        for half_second in range(int(end * 2) + 1):
            while self._due and self._due[0][0] <= half_second / 2:
                self._happens(*heapq.heappop(self._due))
            self._turns(half_second / 2)

    def _happens(self, now: float, _: int, name: str, number: int) -> None:
        if number:
            self._end(name, number, now)
        else:
            self._come(name, now)
        self._turns(now)

    def _come(self, name: str, now: float) -> None:
        if not self.host.behind(key(name), now) and self.host.free(key(name), now):
            self._begun(name, self.host.begin(key(name), now), now)
        else:
            assert self.host.why_not(key(name), now)
            self._count += 1
            assert self.host.wait(key(name), Waiting(f"dlv_{self._count}", 0, 0, FOR_EVER))

    def _turns(self, now: float) -> None:
        while turn := self.host.turn(now):
            self._begun(turn.key.hook_id.removeprefix("wh_"), turn.number, now)

    def _begun(self, name: str, number: int, now: float) -> None:
        took, sign = self.answers[name](now)
        self.told[name].append(now)
        self.most[name] = max(self.most[name], len(self.host.lines[key(name)].begun))
        self._signs[number] = sign
        self._push(now + took, name, number)

    def _end(self, name: str, number: int, now: float) -> None:
        sign = self._signs.pop(number)
        self.host.end(key(name), number, now, sign=sign, roll=0.0)
        if sign is Sign.WELL:
            self.done[name].append(now)

    def _push(self, at: float, name: str, number: int) -> None:
        self._count += 1
        heapq.heappush(self._due, (at, self._count, name, number))

    def __post_init__(self) -> None:
        self._signs: dict[int, Sign] = {}


def every(pause: float, count: int, first: float = 0.0) -> list[float]:
    return [first + number * pause for number in range(count)]


@pytest.mark.parametrize("answer", [hangs, late, ill, away])
def test_a_webhook_that_is_slow_or_fails_delays_no_other_of_its_host(answer: Answer) -> None:
    played = Played({"bad": answer, "in": well, "tenant": well})
    for name in played.answers:
        played.come(name, *every(0.05, 400, first=0.001))
    played.play(60.0)
    for name in ("in", "tenant"):
        assert len(played.done[name]) == 400
        assert played.done[name][-1] < 20.5, "none of them waited"
        assert all(took - came < 0.5 for came, took in zip(every(0.05, 400), played.done[name], strict=True))
    assert played.most["bad"] <= SLOTS // 4


def test_one_that_answered_well_and_then_hangs_holds_its_slots_once_and_leaves_some_to_the_others() -> None:
    played = Played({"turns": until(5.0, well, hangs), "in": well})
    played.come("in", 0.0, *every(0.1, 300, first=5.0))
    played.come("turns", 0.5, *every(0.001, 1000, first=5.0))
    played.play(120.0)
    assert played.most["turns"] < SLOTS
    assert len(played.done["in"]) == 301
    assert played.done["in"][-1] < 36.0
    assert len([at for at in played.told["turns"] if at > 25.0]) <= 12, "only probes after that"


def test_slow_ones_share_half_of_the_slots_in_turn_and_a_quick_one_has_the_rest() -> None:
    names = [f"slow{number}" for number in range(20)]
    played = Played({**dict.fromkeys(names, late), "in": well})
    for name in names:
        played.come(name, *every(0.0, 40))
    played.come("in", *every(0.1, 200, first=1.0))
    played.play(60.0)
    assert played.done["in"][-1] < 21.5
    told = [len(played.told[name]) for name in names]
    assert sum(told) >= 16 * 10
    assert max(told) - min(told) <= SLOTS // 4 + 2, "no one has more for coming first, but for what it held alone"


def test_a_quick_webhook_alone_has_every_slot_of_its_host() -> None:
    played = Played({"in": lambda _: (0.5, Sign.WELL)})
    played.come("in", 0.0, *every(0.0, 200, first=1.0))
    played.play(30.0)
    assert played.most["in"] == SLOTS
    assert played.done["in"][-1] < 6.0


def test_what_waited_is_told_within_a_minute_of_the_recovery() -> None:
    played = Played({"in": until(3600.0, away)})
    played.come("in", *every(3.0, 1100))
    played.play(5000.0)
    assert len(played.done["in"]) + len([at for at in played.told["in"] if at < 3600.0]) == 1100
    assert played.done["in"][-1] < 3600.0 + LONGEST_REST + 2.0
    rests = [after - before for before, after in pairwise(played.told["in"][FAILURES:])]
    assert [round(rest) for rest in rests[:4]] == [20, 40, 60, 60]


def test_the_first_that_reaches_a_host_where_nothing_answered_lets_all_of_them_try() -> None:
    names = [f"in{number}" for number in range(10)]
    played = Played(dict.fromkeys(names, until(1800.0, away)))
    for name in names:
        played.come(name, *every(10.0, 180))
    played.play(1900.0)
    probes = sorted(at for name in names for at in played.told[name] if 300.0 < at < 1800.0)
    assert all(after - before >= FIRST_REST for before, after in pairwise(probes)), "one probe at a time for all"
    assert {round(len([at for at in played.told[name] if 300.0 < at < 1800.0]) / len(probes), 1) for name in names} == {0.1}, "in turn"
    assert max(played.done[name][0] for name in names) < 1800.0 + 2 * FIRST_REST
    assert not played.host.waits


def test_a_path_that_fails_and_one_that_hangs_do_not_shut_out_one_that_recovers() -> None:
    played = Played({"slow": hangs, "ill": ill, "in": until(900.0, away)})
    for name in played.answers:
        played.come(name, *every(1.0, 890))
    played.play(1000.0)
    assert played.done["in"][0] < 900.0 + LONGEST_REST + TIMEOUT + 2 * FIRST_REST
    assert played.done["in"][-1] < 990.0
    assert not played.done["slow"]
    assert not played.done["ill"]


def test_a_webhook_that_comes_to_a_resting_host_is_tried() -> None:
    played = Played({"bad": away, "new": well})
    played.come("bad", *every(0.1, 20))
    played.come("new", 5.0)
    played.play(6.0)
    assert played.done["new"] == [5.01]


def ends(host: Host, number: int, now: float, sign: Sign = Sign.SILENT) -> None:
    host.end(key("in"), number, now, sign=sign, roll=0.0)


@pytest.mark.parametrize("sign", [Sign.ILL, Sign.SILENT])
def test_a_webhook_that_fails_five_times_rests_and_is_probed_by_one(sign: Sign) -> None:
    host, one = Host(slots=4), key("in")
    for _ in range(FAILURES):
        ends(host, host.begin(one, 0.0), 0.1, sign)
    assert not host.free(one, 5.0)
    assert host.free(one, 10.2)
    probe = host.begin(one, 10.2)
    assert not host.free(one, 10.2), "one probe at a time"
    ends(host, probe, 10.3, sign)
    assert not host.free(one, 30.2), "twice as long"
    ends(host, host.begin(one, 30.4), 30.5, Sign.WELL)
    assert host.free(one, 30.5)
    assert host.idle


@pytest.mark.parametrize("at_once", [FAILURES, 8, 32])
def test_requests_that_were_under_way_when_it_failed_make_its_rest_no_longer(at_once: int) -> None:
    host, one = Host(SLOTS), key("in")
    for number in [host.begin(one, 0.0) for _ in range(at_once)]:
        ends(host, number, 0.1)
    assert not host.free(one, 10.0)
    assert host.free(one, 10.2), "its first rest"
    ends(host, host.begin(one, 10.2), 10.3)
    assert not host.free(one, 30.2)
    assert host.free(one, 30.4), "only the probe made the next one longer"


def test_an_old_request_that_fails_late_does_not_end_the_probe() -> None:
    host, one = Host(SLOTS), key("in")
    old = host.begin(one, 0.0)
    for _ in range(FAILURES):
        ends(host, host.begin(one, 0.0), 0.1)
    host.begin(one, 10.2)
    ends(host, old, 10.3)
    assert not host.free(one, 10.4), "one probe at a time"


def test_a_slow_webhook_gets_a_quarter_and_nobody_waits_for_it() -> None:
    host, one = Host(slots=8), key("in")
    ends(host, host.begin(one, 0.0), 0.01, Sign.WELL)
    begun = [host.begin(one, 1.0) for _ in range(8)]
    assert host.soon(one, 0, 1.5)
    assert not host.soon(one, 0, 2.5)
    for number in begun[1:]:
        ends(host, number, 5.0, Sign.WELL)
    assert host.free(one, 5.0)
    host.begin(one, 5.0)
    assert not host.free(one, 5.0)


def test_a_probe_that_teaches_nothing_lets_another_go() -> None:
    host, one = Host(slots=1), key("in")
    host.lines[one] = Line(failures=FAILURES)
    ends(host, host.begin(one, 1.0), 1.1, Sign.NOTHING)
    assert host.free(one, 1.2)


def test_a_late_answer_that_closes_a_breaker_leaves_no_probe_behind() -> None:
    host, one = Host(SLOTS), key("in")
    old = host.begin(one, 0.0)
    for _ in range(FAILURES):
        host.end(one, host.begin(one, 0.0), 0.1, sign=Sign.SILENT, roll=0.0)
    probe = host.begin(one, 10.2)
    host.end(one, old, 10.3, sign=Sign.WELL, roll=0.0)
    next = host.begin(one, 10.4)
    for number in (probe, next):
        host.end(one, number, 10.5, sign=Sign.SILENT, roll=0.0)
    for _ in range(FAILURES - 2):
        host.end(one, host.begin(one, 11.0), 11.1, sign=Sign.SILENT, roll=0.0)
    assert not host.free(one, 20.0)
    assert host.free(one, 21.2)
    assert host.idle


def test_a_host_that_answers_that_it_is_not_well_is_no_silent_one_any_more_and_who_heard_that_rests_on() -> None:
    host, one, two = Host(SLOTS), key("in"), key("two")
    for number in [host.begin(each, 0.0) for each in (one, two) for _ in range(FAILURES)]:
        host.end(one if number <= FAILURES else two, number, 0.1, sign=Sign.SILENT, roll=0.0)
    ends(host, host.begin(one, 10.2), 10.3)
    assert not host.free(two, 10.4), "one probe for the whole host, and ten seconds to the next"
    host.end(two, host.begin(two, 20.4), 20.5, sign=Sign.ILL, roll=0.0)
    assert host.free(one, 20.5), "its rest would have been longer"
    assert not host.free(two, 20.5)
    host.begin(one, 20.5)
    assert host.free(two, 41.0), "each probes for itself again"


def test_whoever_comes_to_a_slow_webhook_waits_behind_those_that_wait() -> None:
    host, one = Host(SLOTS), key("in")
    host.lines[one] = Line(usual_s=3.0, answered=True)
    assert not host.behind(one, 0.0)
    host.wait(one, Waiting("dlv_1", 0, 0, FOR_EVER))
    assert host.free(one, 0.0)
    assert host.behind(one, 0.0)
    host.lines[one].usual_s = 0.1
    assert not host.behind(one, 0.0), "there is room for all of them soon"


def test_one_whose_timer_fires_now_is_left_to_it() -> None:
    host, one = Host(1), key("in")
    under_way = host.begin(one, 0.0)
    assert host.wait(one, Waiting("dlv_1", 0, 0, until=30.0))
    assert host.wait(one, Waiting("dlv_2", 0, 0, until=60.0))
    host.end(one, under_way, 29.5, sign=Sign.WELL, roll=0.0)
    turn = host.turn(29.5)
    assert turn and turn.waiting.delivery_id == "dlv_2"
    assert host.waits == 0
    assert host.turn(29.5) is None


def test_what_is_put_off_again_keeps_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "MOST_WAITING", 2)
    host, one = Host(1), key("in")
    assert host.wait(one, Waiting("dlv_1", 0, 0, until=30.0))
    assert host.wait(one, Waiting("dlv_2", 0, 0, until=30.0))
    assert host.wait(one, Waiting("dlv_1", 0, 0, until=90.0))
    assert not host.wait(one, Waiting("dlv_3", 0, 0, until=90.0)), "no more are remembered"
    assert host.waits == 2
    turn = host.turn(31.0)
    assert turn and turn.waiting == Waiting("dlv_1", 0, 0, until=90.0)


def test_among_thousands_that_rest_one_that_may_be_told_gets_its_turn() -> None:
    host, many = Host(SLOTS), 3 * hosts.AT_A_LOOK
    for number in range(many):
        host.lines[key(str(number))] = Line(failures=FAILURES, open_until=FOR_EVER)
        host.wait(key(str(number)), Waiting(f"dlv_{number}", 0, 0, FOR_EVER))
    host.wait(key("in"), Waiting("dlv_in", 0, 0, FOR_EVER))
    turns = [host.turn(1.0) for _ in range(8)]
    assert [turn.waiting.delivery_id for turn in turns if turn] == ["dlv_in"]
    assert host.waits == many


def test_only_lines_without_anything_under_way_or_waiting_are_forgotten() -> None:
    host = Host(SLOTS)
    host.begin(key("busy"), 0.0)
    for name in ("old", "queue"):
        host.end(key(name), host.begin(key(name), 0.0), 0.1, sign=Sign.WELL, roll=0.0)
    host.wait(key("queue"), Waiting("dlv_1", 0, 0, until=30.0))
    assert [host.forget() for _ in range(3)] == [1, 0, 0]
    assert set(host.lines) == {key("busy"), key("queue")}


@pytest.mark.parametrize(
    ("line", "silent", "why"),
    [
        (Line(failures=FAILURES), FAILURES, "nothing answers at its host"),
        (Line(failures=FAILURES), 0, "its address failed five times in a row"),
        (Line(usual_s=3.0), 0, "its address is slow"),
        (Line(), 0, "its host has as many requests under way"),
    ],
)
def test_who_waits_is_told_why(line: Line, silent: int, why: str) -> None:
    host = Host(SLOTS, silent=silent)
    host.lines[key("in")] = line
    assert host.why_not(key("in"), 0.0).startswith(why)
