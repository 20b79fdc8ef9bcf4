"""A held task is asked about once, and what ended meanwhile is asked about no more, in whatever order it is heard."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.approvals.stories import DIGEST, NOON, OTHER_DIGEST, answer, request
from tests.unit.approvals.world import GATE, TASK, World
from trunkline.contracts.approval import (
    ApprovalDecided,
    ApprovalPolicy,
    ApprovalRequested,
    ApprovalWithdrawn,
    OpenApproval,
    Stage,
    Verdict,
)
from trunkline.contracts.errors import Invalid, NotFound
from trunkline.contracts.message import Fact
from trunkline.contracts.task import Assignment, Hold, TaskAssigned, TaskCancelled, TaskHeld, TaskHoldDropped, TaskReleased, TaskSubmitted
from trunkline_approvals.model import Match, Rule

HELD = TaskHeld(
    hold=Hold(digest=DIGEST, reasons=("It is critical.",)),
    subject="Begin a deployment.",
    requested_by="dev-agent",
    about={"priority": "P0"},
)
BEGUN = (
    TaskSubmitted(assignment=Assignment(), submitted_by="dev-agent", deadline_at=NOON),
    TaskAssigned(pool="ops_agent", attempt=1),
    HELD,
)
ENDED = (TaskHoldDropped(approval_id="release"), TaskCancelled(by="dev-agent", reason="not needed"))
OPEN = OpenApproval(tenant="acme", at=NOON, task_id="t1")


def gate(world: World) -> list[type[Fact]]:
    return [type(fact) for fact in world.logs.get(GATE, [])]


async def test_what_a_held_task_waits_for_is_asked() -> None:
    world = World()
    world.say(*BEGUN)

    await world.hear(*BEGUN)

    (asked,) = world.logs[GATE]
    assert asked == ApprovalRequested(
        approval_id="release", kind="task", subject="Begin a deployment.", digest=DIGEST, requested_by="dev-agent",
        about={"priority": "P0"}, expires_at=NOON + timedelta(days=1),
    )  # fmt: skip


@pytest.mark.parametrize("ways", ["hear open", "open hear", "hear hear", "open open"])
async def test_it_is_asked_once_however_often_it_is_heard(ways: str) -> None:
    world = World()
    world.say(*BEGUN)
    for way in ways.split():
        await (world.hear(*BEGUN) if way == "hear" else world.commands().open(OPEN))
        world.now += timedelta(seconds=1)
    assert gate(world) == [ApprovalRequested]
    assert len(world.timers) == 1


async def test_people_have_all_their_time_though_nobody_asked_them_for_a_day() -> None:
    world = World(now=NOON + timedelta(days=3))
    world.say(*BEGUN)
    await world.hear(*BEGUN)
    (asked,) = world.logs[GATE]
    assert isinstance(asked, ApprovalRequested)
    assert asked.expires_at == NOON + timedelta(days=4)


async def test_opening_answers_how_the_approval_stands() -> None:
    world = World((Rule(ApprovalPolicy(first=Stage(quorum=2)), Match(kinds=("task",), priorities=("P0",))),))
    world.say(*BEGUN)
    opened = await world.commands().open(OPEN)
    assert opened.body == {"approval_id": "release", "task_id": "t1", "status": "pending", "votes": 0, "quorum": 2}
    await world.commands().decide(answer(approval_id="release", at=NOON + timedelta(days=9)))  # a gateway's clock is not what counts
    assert (await world.commands().open(OPEN)).body == {**opened.body, "votes": 1}


async def test_a_rule_may_let_a_held_task_begin_at_once() -> None:
    world = World((Rule(ApprovalPolicy(name="free"), verdict=Verdict.APPROVED),))
    world.say(*BEGUN)
    assert (await world.commands().open(OPEN)).body["status"] == "approved"
    assert gate(world) == [ApprovalRequested, ApprovalDecided]
    assert world.timers == []


@pytest.mark.parametrize(
    "after", [(), (TaskReleased(approval_id="release", by="ann", deadline_at=NOON),), ENDED], ids=["free", "let", "ended"]
)
async def test_a_task_that_nothing_holds_is_not_asked_about(after: tuple[Fact, ...]) -> None:
    world = World()
    world.say(*(BEGUN[:2] if not after else (*BEGUN, *after)))
    opened = await world.commands().open(OPEN)
    assert (opened.body, opened.seq, gate(world)) == ({}, len(world.logs[TASK]), [])


async def test_a_task_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound) as refusal:
        await World().commands().open(OPEN)
    assert refusal.value.code == "TASK_NOT_FOUND"


async def test_nobody_else_asks_under_the_name_of_what_lets_a_task_begin() -> None:
    world = World()
    with pytest.raises(Invalid) as refusal:
        await world.ask(request(approval_id="release", digest=OTHER_DIGEST))
    assert refusal.value.code == "BAD_APPROVAL_ID"
    world.say(*BEGUN)
    await world.hear(*BEGUN)
    assert gate(world) == [ApprovalRequested]


async def test_a_task_that_ends_takes_its_question_back() -> None:
    world = World()
    world.say(*BEGUN)
    await world.hear(*BEGUN)
    world.say(*ENDED)
    for _ in range(2):
        await world.hear(*ENDED)
    assert gate(world) == [ApprovalRequested, ApprovalWithdrawn]


async def test_a_decision_stands_though_the_task_ends() -> None:
    world = World()
    world.say(*BEGUN)
    await world.hear(*BEGUN)
    await world.commands().decide(answer(approval_id="release"))
    await world.hear(*ENDED)
    assert gate(world) == [ApprovalRequested, ApprovalDecided]


async def test_the_end_is_heard_before_the_beginning() -> None:
    world = World()
    world.say(*BEGUN, *ENDED)
    await world.hear(*ENDED)
    await world.hear(*BEGUN)
    assert gate(world) == [ApprovalWithdrawn]


async def test_the_end_comes_between_reading_the_task_and_asking() -> None:
    """Whoever asks saw a held task; the end is heard and done with before the question is stored."""
    world = World()
    world.say(*BEGUN)

    async def ended() -> None:
        world.say(*ENDED)
        await world.hear(*ENDED)

    world.meanwhile = ended
    opened = await world.commands().open(OPEN)

    assert gate(world) == [ApprovalWithdrawn]
    assert opened.body["status"] == "withdrawn"
    with pytest.raises(NotFound):
        await world.commands().decide(answer(approval_id="release"))


async def test_the_question_is_stored_before_the_end_is_heard() -> None:
    world = World()
    world.say(*BEGUN)

    async def ended() -> None:
        world.say(*ENDED)

    world.meanwhile = ended
    await world.commands().open(OPEN)
    await world.hear(*ENDED)
    assert gate(world) == [ApprovalRequested, ApprovalWithdrawn]


async def test_other_news_of_a_task_are_passed_over_unread() -> None:
    world = World()
    world.say(*BEGUN[:2])
    await world.hear(*BEGUN[:2])
    assert (world.story, gate(world)) == ([], [])


async def test_a_prompt_that_speaks_our_words_asks_nothing() -> None:
    world = World()
    prompt = TaskSubmitted(assignment=Assignment(prompt='"task.held"'), submitted_by="eve", deadline_at=NOON)
    world.say(prompt)
    await world.hear(prompt)
    assert gate(world) == []
