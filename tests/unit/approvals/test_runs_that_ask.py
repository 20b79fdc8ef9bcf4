"""A run asks by a fact, once and under its name; what it takes back, and what it leaves behind, nobody has to decide."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from tests.unit.approvals.stories import DIGEST, NOON, ONE, OTHER_DIGEST, answer
from tests.unit.approvals.world import GATE, World
from trunkline.contracts.approval import ApprovalPolicy, ApprovalRequested, ApprovalWithdrawn, DecidedBy, Verdict
from trunkline.contracts.message import Fact
from trunkline.contracts.run import (
    ApprovalDropped,
    ApprovalWanted,
    BudgetRaised,
    CallAnswered,
    CallVerdict,
    RunFailed,
    RunResult,
    RunStopped,
    RunSucceeded,
    RunWaits,
    Wait,
)
from trunkline.contracts.task import TaskCancelled, TaskFailed
from trunkline_approvals.model import Match, Rule, unsettled

CALL = "evt.acme.t1.approval-call-1"
ABOUT: dict[str, Any] = {"agent": "claude", "tool": "Bash", "input": {"command": "make"}, "offers": ["once", "run"]}
RESULT = RunResult(
    branch="b", base="main", commit="c0ffee", pull_request=1, pull_request_url="u", files_changed=1, additions=1, deletions=0,
    sandbox_id="t1-1", sandbox_seconds=1.0,
)  # fmt: skip
STOPPED = RunStopped(attempt=1)
ENDS: list[Fact] = [
    STOPPED,
    RunFailed(attempt=1, code="AGENT_LOST", error="gone", recoverable=True),
    RunSucceeded(attempt=1, result=RESULT),
]


def wanted(name: str = "call-1", attempt: int = 1, **changes: Any) -> ApprovalWanted:
    said = {"kind": "tool_call", "subject": "Run `make`?", "digest": DIGEST, "requested_by": "agent:claude", "about": ABOUT, **changes}
    return ApprovalWanted.model_validate({"attempt": attempt, "approval_id": name, **said})


def kinds(world: World, subject: str = CALL) -> list[type[Fact]]:
    return [type(fact) for fact in world.logs.get(subject, [])]


async def test_what_a_run_wants_is_asked_under_exactly_its_name_with_all_that_it_told() -> None:
    world = World()
    await world.run_says(wanted(), RunWaits(attempt=1, why=Wait.TOOL_CALL, approval_id="call-1"))
    (asked,) = world.logs[CALL]
    assert asked == ApprovalRequested(
        approval_id="call-1", kind="tool_call", subject="Run `make`?", digest=DIGEST, requested_by="agent:claude", about=ABOUT,
        expires_at=NOON + timedelta(days=1),
    )  # fmt: skip
    assert world.story == ["timer", "stored"]


async def test_it_is_asked_once_however_often_it_is_heard() -> None:
    world = World()
    await world.run_says(wanted())
    world.now = ONE
    await world.hear_run(wanted())
    await world.commands().decide(answer(approval_id="call-1"))
    await world.hear_run(wanted())
    assert [kind.__name__ for kind in kinds(world)] == ["ApprovalRequested", "ApprovalDecided"]


async def test_the_rules_for_tool_calls_are_looked_up() -> None:
    free = Rule(ApprovalPolicy(name="free"), Match(kinds=("tool_call",), about={"tool": "Bash"}), Verdict.APPROVED)
    world = World(rules=(free,))
    await world.run_says(wanted())
    decision = world.logs[CALL][-1].model_dump()
    assert (decision["verdict"], decision["decided_by"], decision["digest"]) == ("approved", DecidedBy.POLICY, DIGEST)


@pytest.mark.parametrize(
    ("wished", "then"), [(NOON + timedelta(minutes=5), NOON + timedelta(minutes=5)), (NOON + timedelta(days=9), NOON + timedelta(days=1))]
)
async def test_it_expires_when_the_policy_or_the_run_says_whichever_is_earlier(wished: datetime, then: datetime) -> None:
    world = World()
    await world.run_says(wanted(expires_at=wished))
    assert world.logs[CALL][0].model_dump()["expires_at"] == then


async def test_what_expired_while_nobody_heard_the_run_is_timed_out_and_not_lost() -> None:
    world = World(now=NOON + timedelta(hours=3))
    await world.run_says(wanted(expires_at=ONE), at=NOON)
    (at, wake) = world.timers[0]
    assert at == ONE
    await world.wake(wake)
    end = world.logs[CALL][-1].model_dump()
    assert (end["verdict"], end["decided_by"]) == ("rejected", DecidedBy.TIMEOUT)


async def test_people_have_all_their_time_though_this_service_was_away_when_the_run_asked() -> None:
    world = World(now=NOON + timedelta(days=2))
    await world.run_says(wanted(), at=NOON)
    assert world.logs[CALL][0].model_dump()["expires_at"] == NOON + timedelta(days=3)


async def test_a_run_cannot_ask_for_what_lets_its_own_task_begin_nor_take_that_back() -> None:
    world = World()
    await world.run_says(wanted("release"), ApprovalDropped(attempt=1, approval_id="release"), STOPPED)
    assert world.logs.get(GATE, []) == []


@pytest.mark.parametrize("bad", [{"digest": "yes"}, {"expires_at": NOON - timedelta(hours=1)}])
async def test_what_can_never_be_asked_is_withdrawn_so_that_the_run_does_not_wait_for_ever(bad: dict[str, Any]) -> None:
    world = World()
    await world.run_says(wanted(**bad))
    assert kinds(world) == [ApprovalWithdrawn]


@pytest.mark.parametrize("name", ["x" * 64, "a b", "", "a.b", "*"])
async def test_a_name_that_no_approval_can_have_harms_nobody(name: str) -> None:
    world = World()
    await world.run_says(wanted(name), wanted(), ApprovalDropped(attempt=1, approval_id=name))
    await world.run_says(STOPPED)
    assert kinds(world) == [ApprovalRequested, ApprovalWithdrawn]


async def test_another_act_under_the_same_name_is_not_asked_about_and_the_first_stays() -> None:
    world = World()
    await world.run_says(wanted(), wanted(digest=OTHER_DIGEST))
    assert kinds(world) == [ApprovalRequested]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end).__name__)
async def test_a_run_that_ends_leaves_no_open_question(end: Fact) -> None:
    world = World()
    await world.run_says(wanted(), wanted("call-2"), wanted("budget-1-1"))
    await world.commands().decide(answer(approval_id="call-2"))
    await world.run_says(end)
    assert kinds(world) == [ApprovalRequested, ApprovalWithdrawn]
    assert kinds(world, CALL.replace("call-1", "budget-1-1")) == [ApprovalRequested, ApprovalWithdrawn]
    assert [kind.__name__ for kind in kinds(world, CALL.replace("call-1", "call-2"))] == ["ApprovalRequested", "ApprovalDecided"]


async def test_the_end_of_one_attempt_leaves_the_questions_of_the_next_alone() -> None:
    world = World()
    await world.run_says(wanted(), wanted("call-9", attempt=2))
    await world.run_says(STOPPED)
    assert kinds(world) == [ApprovalRequested, ApprovalWithdrawn]
    assert kinds(world, CALL.replace("call-1", "call-9")) == [ApprovalRequested]


async def test_what_the_run_takes_back_is_withdrawn_with_its_reason() -> None:
    world = World()
    await world.run_says(wanted())
    await world.run_says(ApprovalDropped(attempt=1, approval_id="call-1", reason="the agent gave up"))
    assert world.logs[CALL][-1] == ApprovalWithdrawn(approval_id="call-1", reason="the agent gave up")


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
async def test_in_whatever_order_the_news_is_heard_nothing_stays_open(order: tuple[int, ...]) -> None:
    """Several are worked on at once, and one whose replica died comes again behind the others."""
    records: list[tuple[Fact, ...]] = [(wanted(),), (ApprovalDropped(attempt=1, approval_id="call-1"),), (STOPPED,)]
    world = World()
    for record in records:
        world.say(*record, subject="evt.acme.t1.run")
    for number in order:
        await world.hear_run(*records[number])
    assert kinds(world)[-1] is ApprovalWithdrawn
    assert len(kinds(world)) <= 2


@pytest.mark.parametrize("end", [TaskFailed(code="DEADLINE", error="late"), TaskCancelled(by="ann", reason="")])
async def test_a_task_that_ends_though_nobody_carried_its_run_leaves_no_open_question(end: Fact) -> None:
    world = World()
    await world.run_says(wanted(), wanted("call-2", attempt=2))
    await world.hear(end)
    assert kinds(world) == kinds(world, CALL.replace("call-1", "call-2")) == [ApprovalRequested, ApprovalWithdrawn]


def test_only_what_may_be_open_is_looked_at_when_a_run_ends() -> None:
    allowed = CallAnswered(attempt=1, sitting=1, call="c", approval_id="a", verdict=CallVerdict.ALLOWED, by="ann", digest=DIGEST)
    back = allowed.model_copy(update={"approval_id": "b", "verdict": CallVerdict.WITHDRAWN})
    raised = BudgetRaised(attempt=1, approval_id="m", usd=1.0, by="ann")
    story = [wanted("a"), wanted("b"), wanted("m"), wanted("d"), allowed, back, raised, ApprovalDropped(attempt=1, approval_id="d")]
    assert unsettled(story, 1) == unsettled(story) == ("b",)
    assert unsettled(story, 2) == ()
