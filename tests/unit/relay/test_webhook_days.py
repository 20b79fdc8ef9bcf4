"""Days of failures, played through in no time: what becomes of deliveries, of their webhook, and of the host that they go to."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest

from trunkline.contracts.errors import Conflict
from trunkline.contracts.webhook import (
    Answered,
    ChangeWebhook,
    DeliveryStatus,
    DeliveryView,
    DisabledBy,
    Hook,
    HookFact,
    RegisterWebhook,
    SealedSecret,
    WebhookStatus,
)
from trunkline_relay.model import health, hook_state, trying
from trunkline_relay.model.hosts import Host, Key, Waiting
from trunkline_relay.model.lines import FIRST_REST, LONGEST_REST
from trunkline_relay.model.trying import JITTER, PAUSES_S, TRIES, Attempt

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
URL = "https://hooks.example.com/in"
DOWN = 503
LINE = Key("acme", "wh_1", URL)


def wish(**more: object) -> RegisterWebhook:
    known = {"tenant": "acme", "at": NOON, "hook_id": "wh_1", "url": URL, "events": ("*",), "owner": "ann", "surface": "orchestrator"}
    return RegisterWebhook.model_validate({**known, "own_only": False, "verify": False, **more})


def hook(**more: object) -> Hook:
    return hook_state.registered(wish(**more), SealedSecret(sealed="x"), 0)


def delivery(number: int, at: datetime) -> DeliveryView:
    pending = DeliveryStatus.PENDING
    return DeliveryView(
        status=pending, id=f"dlv_{number}", hook_id="wh_1", tenant="acme", type="task.created", event="e-1", url=URL, body="{}",
        created_at=at, begun_at=at,
    )  # fmt: skip


@dataclass
class Days:
    """One relay, one webhook and its host: what is due is tried when it is due, as `Deliver` does, but for the waiting."""

    hook: Hook = field(default_factory=hook)
    host: Host = field(default_factory=lambda: Host(slots=32))
    answers: dict[timedelta, int] = field(default_factory=dict)
    """What the subscriber answers from then on; 503 before."""
    chance: Random = field(default_factory=lambda: Random(5))
    ended: dict[str, DeliveryView] = field(default_factory=dict)
    facts: list[tuple[HookFact, timedelta]] = field(default_factory=list)
    probes: list[float] = field(default_factory=list)
    _due: list[tuple[datetime, int, int, int]] = field(default_factory=list)
    """When, which delivery, and how often it was tried and put off; -1: who waits may have room then."""
    _open: dict[int, DeliveryView] = field(default_factory=dict)

    def happens(self, *ats: timedelta) -> None:
        for at in ats:
            number = len(self._open)
            self._open[number] = delivery(number, NOON + at)
            heapq.heappush(self._due, (NOON + at, number, 0, 0))

    def play(self, *, rests: bool = True) -> None:
        """Until nothing is due any more. Without `rests` the breaker is left out."""
        while self._due:
            now, number, tries, put_off = heapq.heappop(self._due)
            clock = (now - NOON).total_seconds()
            if number < 0:
                while self.hook.enabled and (turn := self.host.turn(clock)):
                    self._try(int(turn.waiting.delivery_id), now, turn.number)
            elif (self._open[number].tries, self._open[number].put_off) == (tries, put_off) and not self._open[number].ended_at:
                self._carry(number, now, clock, rests)

    def _carry(self, number: int, now: datetime, clock: float, rests: bool) -> None:
        if not self.hook.enabled:
            self._keep(number, trying.disabled(self._open[number], now))
        elif not rests or (self.host.free(LINE, clock) and not self.host.behind(LINE, clock)):
            self._try(number, now, self.host.begin(LINE, clock))
        elif trying.too_old(self._open[number], now):
            self._keep(number, trying.never_tried(self._open[number], now, self.host.why_not(LINE, clock)))
        else:
            pause = trying.put_off_s(self._open[number].put_off, trying.NO_ROOM_S, self.chance.random())
            later = now + timedelta(seconds=pause)
            self._keep(number, trying.put_off(self._open[number], later, self.host.why_not(LINE, clock)))
            self.host.wait(LINE, Waiting(str(number), 0, self._open[number].tries, (later - NOON).total_seconds()))

    def _try(self, number: int, now: datetime, request: int) -> None:
        clock = (now - NOON).total_seconds()
        status = next((answer for since, answer in sorted(self.answers.items(), reverse=True) if now >= NOON + since), DOWN)
        attempt = Attempt(now, 5, Answered(status=status))
        if self.host.lines[LINE].open:
            self.probes.append(clock)
        self.host.end(LINE, request, clock + 0.005, sign=trying.sign(attempt), roll=self.chance.random())
        heapq.heappush(self._due, (NOON + timedelta(seconds=max(self.host.lines[LINE].open_until, clock) + 0.001), -1, 0, 0))
        tried = trying.after(self._open[number], attempt, self.chance.random())
        self._keep(number, tried)
        record = health.learned(self.hook, tried, trying.verdict(attempt))
        if record is not None:
            self.hook = record.hook
            self.facts.append((record.fact, now - NOON))

    def _keep(self, number: int, kept: DeliveryView) -> None:
        self._open[number] = kept
        if kept.next_try_at:
            heapq.heappush(self._due, (kept.next_try_at, number, kept.tries, kept.put_off))
        else:
            self.ended[kept.id] = kept


def hourly(days: float) -> list[timedelta]:
    return [timedelta(hours=hour) for hour in range(int(days * 24))]


def test_each_delivery_is_tried_ten_times_over_three_days_and_then_lies_among_the_dead_letters() -> None:
    days = Days()
    days.happens(*[timedelta(minutes=minute) for minute in range(50)])
    days.play(rests=False)
    assert {one.status for one in days.ended.values()} == {DeliveryStatus.DEAD}
    for dead in days.ended.values():
        pauses = [(after.at - before.at).total_seconds() for before, after in pairwise(dead.history)]
        assert len(dead.history) == dead.tries == TRIES
        assert all(wanted <= pause <= wanted * (1 + JITTER) for pause, wanted in zip(pauses, PAUSES_S, strict=True))
        assert timedelta(days=3) < dead.history[-1].at - dead.history[0].at < timedelta(days=3.5)
        assert dead.problem == "10 tries failed; at last it answered 503"
    assert len({one.history[-1].at - one.created_at for one in days.ended.values()}) == 50, "chance parts what failed together"


@pytest.mark.parametrize("rests", [False, True])
@pytest.mark.parametrize("each_hour", [1, 3])
def test_a_webhook_whose_deliveries_failed_for_five_days_is_disabled_and_says_why(rests: bool, each_hour: int) -> None:
    days = Days()
    days.happens(*[hour + timedelta(minutes=2 * number) for hour in hourly(7) for number in range(each_hour)])
    days.play(rests=rests)
    (failing, since), (disabled, at) = days.facts
    assert (failing, disabled) == (HookFact.FAILING, HookFact.DISABLED)
    assert timedelta(minutes=5) <= since < timedelta(hours=1)
    assert hook_state.FAILS_FOR < at - since < hook_state.FAILS_FOR + timedelta(hours=1)
    assert (hook_state.status(days.hook), days.hook.disabled_by) == (WebhookStatus.DISABLED, DisabledBy.FAILING)
    assert "five days" in days.hook.problem
    assert len(days.ended) == 7 * 24 * each_hour
    assert {one.status for one in days.ended.values()} == {DeliveryStatus.DEAD}
    assert all(one.problem for one in days.ended.values())


def test_one_success_within_five_days_and_it_goes_on() -> None:
    days = Days(answers={timedelta(days=4): 200, timedelta(days=4, hours=2): DOWN, timedelta(days=8): 200})
    days.happens(*hourly(9))
    days.play()
    assert [fact for fact, _ in days.facts] == [HookFact.FAILING, HookFact.RECOVERED, HookFact.FAILING, HookFact.RECOVERED]
    assert hook_state.status(days.hook) is WebhookStatus.ACTIVE
    assert days.ended["dlv_200"].status is DeliveryStatus.DELIVERED


def test_a_first_failure_after_a_quiet_week_disables_nothing() -> None:
    failing_since_long = hook_state.failing(hook(), NOON, NOON)
    later = NOON + timedelta(days=7)
    first = trying.after(delivery(1, later), Attempt(later, 5, Answered(status=500)), 0.0)
    assert health.learned(failing_since_long, first, trying.Verdict.FAILED) is None


def test_410_disables_at_once() -> None:
    days = Days(answers={timedelta(): 410})
    days.happens(timedelta(), timedelta(seconds=1))
    days.play()
    assert days.facts == [(HookFact.DISABLED, timedelta())]
    assert days.hook.disabled_by is DisabledBy.GONE
    assert [one.tries for one in days.ended.values()] == [1, 0], "the second is not even tried"


def test_what_an_address_says_that_the_webhook_left_meanwhile_changes_nothing() -> None:
    gone = trying.after(delivery(1, NOON), Attempt(NOON, 5, Answered(status=410)), 0.0)
    moved = hook_state.changed(hook(), ChangeWebhook(tenant="acme", at=NOON, hook_id="wh_1", url="https://new.example.com/"))
    assert health.learned(moved, gone, trying.Verdict.GONE) is None


def test_a_host_that_is_down_for_days_is_only_probed_and_by_one_success_is_told_all_again() -> None:
    days = Days(answers={timedelta(days=2): 200})
    days.happens(*[timedelta(minutes=15 * number) for number in range(96)])
    days.play()
    rests = [after - before for before, after in pairwise(days.probes)]
    assert rests[0] >= FIRST_REST and min(rests[10:]) >= LONGEST_REST
    assert len(days.probes) < 2 * 86400 / LONGEST_REST + 10, "and nothing else was sent in two days"
    delivered = [one for one in days.ended.values() if one.status is DeliveryStatus.DELIVERED]
    assert len(delivered) == 96
    assert max(one.tries for one in delivered) < TRIES
    assert days.host.idle


def others(count: int, **more: object) -> list[Hook]:
    return [hook(hook_id=f"wh_{number}", **more) for number in range(count)]


def test_those_of_strangers_use_up_nothing_of_the_tenants_and_nobodys_else() -> None:
    guests = [one for number in range(300) for one in others(20, owner=f"guest-{number}", own_only=True)]
    hook_state.check_room([*guests, *others(99)], wish())
    hook_state.check_room([*guests, *others(100), *others(19, own_only=True)], wish(own_only=True))
    for crowd, asked in (
        ([*others(100)], wish()),
        ([*others(20, own_only=True)], wish(own_only=True)),
        ([*others(10_000, own_only=True, owner="eve")], wish(own_only=True)),
    ):
        with pytest.raises(Conflict) as refused:
            hook_state.check_room(crowd, asked)
        assert refused.value.code == "TOO_MANY_WEBHOOKS"


def test_a_view_tells_the_newest_secret_by_its_end_and_until_when_the_one_before_signs() -> None:
    first = hook_state.registered(wish(), SealedSecret(sealed="x", hint="LaSw"), 0)
    view = hook_state.view(first, NOON)
    assert (view.hint, view.secrets, view.signs_with_both_until) == ("LaSw", 1, None)
    rotated = hook_state.rotated(first, "r1", SealedSecret(sealed="y", hint="9xQ="), NOON, 3600.0)
    view = hook_state.view(rotated, NOON + timedelta(minutes=59))
    assert (view.hint, view.secrets, view.signs_with_both_until) == ("9xQ=", 2, NOON + timedelta(hours=1))
    view = hook_state.view(rotated, NOON + timedelta(minutes=61))
    assert (view.secrets, view.signs_with_both_until) == (1, None)
