"""What the carrier makes of an agent's calls, its budget, its work and its end, with everything around it in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.carried import Box, Changed, Program, about, carrying
from trunkline.contracts.approval import DecidedBy, Verdict
from trunkline.contracts.calls import Ruling, Scope, ToolRule
from trunkline.contracts.record import Record
from trunkline.contracts.run import (
    AgentStarted,
    ApprovalWanted,
    BudgetRaised,
    CallAnswered,
    CallVerdict,
    PushJudged,
    RunFailed,
    RunGoesOn,
    RunParked,
    RunStopped,
    RunSucceeded,
    RunWaits,
    Wait,
)
from trunkline.contracts.spend import ModelAnswered
from trunkline.contracts.task import StopCause, TaskStopRequested
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_sandbox.model import Skill
from trunkline_sandbox.model.budget import BudgetLimits
from trunkline_sandbox.model.rules import Rules

pytestmark = [pytest.mark.flow, pytest.mark.timeout(60)]
PLAIN = Skill(ask=True, interrupt=True)
"""An agent that cannot be resumed, nor told a reason."""


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server() as running:
        yield running


async def works(program: Program, box: Box) -> None:
    """Asks once, and tells what it was told."""
    await program.say(type="session", id="s1")
    told = await program.ask("c1", command="make")
    await program.say(type="message", text=f"told {told['verdict']} {told.get('input')} {told['reason']}")
    await goes(program)


async def goes(program: Program) -> None:
    await program.say(type="turn_over", summary="done")
    while (told := await program.hear())["type"] != "close":
        await program.say(type="heard", id=told["id"])
        await program.say(type="message", text=f"heard {told.get('text')}")
        await program.say(type="turn_over", summary="done")


def said(program: Program) -> str:
    return b"\n".join(line.data for line in program.lines if hasattr(line, "data")).decode()


async def test_a_decision_of_another_call_lets_nothing_run(server: NatsServer, tmp_path: Path) -> None:
    box = Box(works)
    async with carrying(server.url, about(box, tmp_path)) as job:
        await job.decide(await job.until(ApprovalWanted), digest="0" * 64)
        await job.until(RunSucceeded)
        [answered] = await job.of(CallAnswered)
    assert answered.verdict is CallVerdict.DENIED
    assert "approved was something else" in said(next(iter(box.programs.values())))


async def test_the_answer_is_recorded_before_the_agent_is_told(server: NatsServer, tmp_path: Path) -> None:
    order: list[str] = []

    async def looks(program: Program, box: Box) -> None:
        await program.ask("c1", command="make")
        order.extend(fact.type for fact in await job.facts())
        await goes(program)

    async with carrying(server.url, about(Box(looks), tmp_path)) as job:
        await job.allow(await job.until(ApprovalWanted))
        await job.until(RunSucceeded)
    assert order[-2:] == ["run.call_answered", "run.goes_on"]


async def test_an_agent_that_cannot_be_told_why_hears_it_as_a_message(server: NatsServer, tmp_path: Path) -> None:
    box = Box(works)
    async with carrying(server.url, about(box, tmp_path, PLAIN)) as job:
        await job.decide(await job.until(ApprovalWanted), Verdict.REJECTED, reason="too dear")
        await job.until(RunSucceeded)
    assert "heard Shell was denied: too dear" in said(next(iter(box.programs.values())))


async def test_an_agent_that_cannot_be_resumed_keeps_its_process(server: NatsServer, tmp_path: Path) -> None:
    box = Box(works)
    async with carrying(server.url, about(box, tmp_path, PLAIN, hold_s=0.1)) as job:
        wanted = await job.until(ApprovalWanted)
        await asyncio.sleep(1.0)
        assert await job.of(RunParked) == []
        await job.allow(wanted)
        await job.until(RunSucceeded)
    assert len(box.programs) == 1


async def test_an_agent_that_cannot_ask_does_not_start_where_rules_want_it_to(server: NatsServer, tmp_path: Path) -> None:
    box = Box(works)
    async with carrying(server.url, about(box, tmp_path, Skill())) as job:
        assert (await job.until(RunFailed)).code == "AGENT_CANNOT_ASK"
    assert box.programs == {}


async def test_the_task_may_ask_for_more_questions_and_not_for_fewer(server: NatsServer, tmp_path: Path) -> None:
    own = (ToolRule(tool="*", then=Ruling.ALLOW), ToolRule(argument="make*", then=Ruling.DENY, reason="mine"))
    box = Box(works)
    async with carrying(server.url, about(box, tmp_path, rules=Rules()), tool_rules=own) as job:
        await job.until(RunSucceeded)
        assert await job.of(ApprovalWanted) == []
    assert "told deny None mine" in said(next(iter(box.programs.values())))


async def test_an_unsupervised_agent_is_not_asked_to_ask(server: NatsServer, tmp_path: Path) -> None:
    box = Box(goes_at_once)
    async with carrying(server.url, about(box, tmp_path, rules=Rules())) as job:
        await job.until(RunSucceeded)
    [program] = box.programs.values()
    assert program.task["supervised"] is False


async def goes_at_once(program: Program, box: Box) -> None:
    await goes(program)


async def spends(program: Program, box: Box) -> None:
    """Asks its model twice; the first answer costs all that there is."""
    await program.say(type="session", id="s1")
    till = box.tills[program.launch.key]
    for _ in range(2):
        await till.admit()
        await till.spent(ModelAnswered(attempt=1, sitting=1, request=new_id(), shape="anthropic", status=200, usd=1.0))
    await goes(program)


async def test_a_used_up_budget_waits_for_people_and_goes_on_with_more(server: NatsServer, tmp_path: Path) -> None:
    box = Box(spends)
    async with carrying(server.url, about(box, tmp_path, rules=Rules(), budget=BudgetLimits(task_usd=0.5))) as job:
        wanted = await job.until(ApprovalWanted)
        assert (wanted.kind, wanted.requested_by, wanted.about["spent_usd"]) == ("budget", "ann", 1.0)
        await job.allow(wanted, usd=5.0)
        await job.until(RunSucceeded)
        assert [fact.usd for fact in await job.of(BudgetRaised)] == [5.0]
        assert [fact.why for fact in await job.of(RunWaits)] == [Wait.BUDGET]
        assert len(await job.of(RunGoesOn)) == 1


async def test_a_budget_that_nobody_raises_is_the_end(server: NatsServer, tmp_path: Path) -> None:
    box = Box(spends)
    async with carrying(server.url, about(box, tmp_path, rules=Rules(), budget=BudgetLimits(task_usd=0.5))) as job:
        await job.decide(await job.until(ApprovalWanted), Verdict.REJECTED, reason="enough")
        failed = await job.until(RunFailed)
    assert (failed.code, failed.recoverable) == ("BUDGET", False)
    assert "eve did not let it spend more: enough" in failed.error


async def test_a_run_that_waits_for_money_is_put_aside_and_goes_on_when_there_is_some(server: NatsServer, tmp_path: Path) -> None:
    box = Box(spends)
    world = about(box, tmp_path, rules=Rules(), budget=BudgetLimits(task_usd=0.5), hold_s=0.2)
    async with carrying(server.url, world) as job:
        wanted = await job.until(ApprovalWanted)
        assert (await job.until(RunParked)).why is Wait.BUDGET
        await job.allow(wanted, usd=50.0)
        await job.until(RunSucceeded)
        assert [fact.sitting for fact in await job.of(AgentStarted)] == [1, 2]


@pytest.mark.parametrize(("own", "installed"), [(0.5, 0.0), (0.5, 9.0), (9.0, 0.5)])
async def test_of_the_budgets_of_a_task_and_of_the_settings_the_smaller_holds(
    own: float, installed: float, server: NatsServer, tmp_path: Path
) -> None:
    world = about(Box(spends), tmp_path, rules=Rules(), budget=BudgetLimits(task_usd=installed))
    async with carrying(server.url, world, budget_usd=own) as job:
        wanted = await job.until(ApprovalWanted)
        assert (wanted.kind, wanted.about["limit_usd"]) == ("budget", 0.5)
        await job.decide(wanted, Verdict.REJECTED, reason="dear enough")
        failed = await job.until(RunFailed)
    assert failed.code == "BUDGET" and "1.0 of 0.5 US dollars" in failed.error and "dear enough" in failed.error


async def test_a_push_of_what_decides_who_reviews_waits_with_nothing_running(server: NatsServer, tmp_path: Path) -> None:
    box = Box(goes_at_once)
    world = about(box, tmp_path, rules=Rules(), git=Changed("a.py", ".github/workflows/ci.yml"))
    async with carrying(server.url, world) as job:
        wanted = await job.until(ApprovalWanted)
        parked = await job.until(RunParked)
        assert (wanted.kind, wanted.requested_by, parked.why) == ("push", "ann", Wait.PUSH)
        assert ".github/workflows/ci.yml" in wanted.subject
        await job.decide(wanted)
        await job.until(RunSucceeded)
        assert [(fact.cleared, fact.by) for fact in await job.of(PushJudged)] == [(False, ""), (True, "eve")]
    assert len(box.programs) == 1


async def test_a_push_that_is_refused_says_why(server: NatsServer, tmp_path: Path) -> None:
    world = about(Box(goes_at_once), tmp_path, rules=Rules(), git=Changed(".github/workflows/ci.yml"))
    async with carrying(server.url, world) as job:
        await job.decide(await job.until(ApprovalWanted), Verdict.REJECTED, decided_by=DecidedBy.TIMEOUT, by="timeout")
        failed = await job.until(RunFailed)
    assert (failed.code, failed.recoverable) == ("PUSH_REFUSED", False)
    assert "nobody decided in time" in failed.error


async def test_a_yes_for_the_run_allows_exactly_the_same_argument_again(server: NatsServer, tmp_path: Path) -> None:
    async def asks(program: Program, box: Box) -> None:
        for n, command in enumerate(("ls *.py", "ls *.py", "ls a.py")):
            await program.ask(f"c{n}", command=command)
        await goes(program)

    async with carrying(server.url, about(Box(asks), tmp_path)) as job:
        await job.allow(await job.until(ApprovalWanted), scope=Scope.RUN)
        second = await job.until(ApprovalWanted, 2)
        assert second.about["argument"] == "ls a.py"
        await job.allow(second)
        await job.until(RunSucceeded)


async def test_a_parked_run_that_is_to_stop_is_stopped(server: NatsServer, tmp_path: Path) -> None:
    box = Box(works)
    async with carrying(server.url, about(box, tmp_path, hold_s=0.1)) as job:
        await job.until(RunParked)
        wish = TaskStopRequested(cause=StopCause.CANCELLED, by="ann", reason="")
        last = await job.bus.log.last(job.subject("task"))
        assert last is not None
        await job.bus.log.append(job.subject("task"), Record(at=now(), cause="test", facts=(wish,)), expect=last.seq, id=new_id())
        await job.until(RunStopped)
    assert box.sandboxes == {}
