"""A timer wakes the service: what it finds, and what it does when that is not there yet."""

from __future__ import annotations

from datetime import timedelta

from tests.unit.approvals.stories import NOON, ONE, request, wake
from tests.unit.approvals.world import World
from trunkline.contracts.approval import ApprovalDecided, ApprovalEscalated, ApprovalPolicy, ApprovalWithdrawn, DecidedBy, OnExpiry, Stage
from trunkline_approvals.model import Rule

SOON = NOON + timedelta(seconds=1)
ASK = request(expires_at=SOON)
WAKE = wake(SOON)
PLACE = "evt.acme.t1.approval-a7"
CHAIN = ApprovalPolicy(first=Stage(expires_s=1), on_expiry=OnExpiry.ESCALATE, escalation=(Stage(expires_s=60, notify=("on-call",)),))


async def test_the_timer_is_set_before_the_approval_is_stored() -> None:
    world = World()
    accepted = await world.ask(ASK)
    assert world.story == ["timer", "stored"]
    assert world.timers == [(SOON, WAKE)]
    assert accepted.body == {"approval_id": "a7", "task_id": "t1", "status": "pending", "votes": 0, "quorum": 1}


async def test_what_was_asked_before_sets_no_timer() -> None:
    world = World()
    await world.ask(ASK)
    await world.ask(ASK.model_copy(update={"at": NOON + timedelta(minutes=1)}))
    assert world.story == ["timer", "stored"]


async def test_an_approval_without_expiry_has_no_timer() -> None:
    world = World((Rule(ApprovalPolicy(first=Stage(expires_s=None))),))
    await world.ask(request())
    assert world.timers == []


async def test_an_approval_that_nobody_decided_counts_as_rejected() -> None:
    world = World()
    await world.ask(ASK)
    for _ in range(2):
        await world.wake(WAKE)
    (decided,) = [fact for fact in world.logs[PLACE] if isinstance(fact, ApprovalDecided)]
    assert (decided.verdict, decided.decided_by) == ("rejected", DecidedBy.TIMEOUT)


async def test_a_timer_that_was_faster_than_its_approval_comes_again_for_a_minute_and_then_no_more() -> None:
    world = World(now=SOON)

    await world.wake(WAKE)
    for _ in range(4):
        world.now, again = world.timers[-1]
        await world.wake(again)

    assert [(at - SOON).total_seconds() for at, _ in world.timers] == [1, 5, 20, 65]


async def test_what_was_stored_late_is_found_by_the_next_look() -> None:
    world = World(now=SOON)
    await world.wake(WAKE)
    await world.ask(ASK)
    await world.wake(world.timers[0][1])
    assert isinstance(world.logs[PLACE][-1], ApprovalDecided)


async def test_the_timer_of_the_next_stage_is_set_before_others_are_asked() -> None:
    world = World((Rule(CHAIN),))
    await world.ask(request())
    world.now = ONE

    await world.wake(WAKE)

    assert world.story == ["timer", "stored", "timer", "stored"]
    assert world.timers[1] == (ONE + timedelta(minutes=1), wake(ONE + timedelta(minutes=1), 1))
    last = world.logs[PLACE][-1]
    assert last == ApprovalEscalated(approval_id="a7", stage=1, notify=("on-call",), expires_at=ONE + timedelta(minutes=1))


async def test_a_timer_that_was_faster_than_its_stage_comes_again() -> None:
    world = World((Rule(CHAIN),))
    await world.ask(request())
    early = wake(NOON + timedelta(seconds=2), 1)

    await world.wake(early)

    assert world.timers[-1] == (NOON + timedelta(seconds=1), early.model_copy(update={"looks": 1}))
    assert len(world.logs[PLACE]) == 1


async def test_no_stage_begins_without_its_timer_though_the_question_is_stored_between_two_looks() -> None:
    world = World((Rule(CHAIN),), now=SOON)

    async def stored_now() -> None:
        await world.ask(request())

    world.meanwhile = stored_now
    await world.wake(WAKE)
    (asked,) = world.logs[PLACE]
    _, (world.now, again) = world.timers

    await world.wake(again)

    assert [type(fact) for fact in world.logs[PLACE]] == [type(asked), ApprovalEscalated]
    assert world.timers[-1] == (world.now + timedelta(minutes=1), wake(world.now + timedelta(minutes=1), 1))


async def test_a_timer_finds_nothing_to_do_where_nobody_will_ever_ask() -> None:
    world = World(logs={PLACE: [ApprovalWithdrawn(approval_id="a7")]})
    await world.wake(WAKE)
    assert world.timers == []


async def test_a_timer_written_by_an_older_version_is_the_first_stages() -> None:
    old = WAKE.model_dump(exclude={"stage", "looks"})
    assert type(WAKE).model_validate(old) == WAKE
