"""Runs that want something allowed, on a real nats-server: the test writes what a carrier would, and approvals dies in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from pydantic import JsonValue

from tests.campaigns import LONG, tries
from tests.flows.approval_desk import DIGEST, answer, asked, caller, dead, decision, desk, facts, replicas, router_says, tell, until, words
from trunkline.bus import Bus
from trunkline.contracts import subjects
from trunkline.contracts.approval import ApprovalRequested, DecidedBy, Verdict
from trunkline.contracts.errors import Conflict, Invalid, NotFound
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Record
from trunkline.contracts.run import ApprovalDropped, ApprovalWanted, RunClaimed, RunFailed, RunStopped, RunWaits, Wait
from trunkline.contracts.task import Assignment, TaskCancelled, TaskSubmitted
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline.testing.nats import NatsServer, nats_server

pytestmark = pytest.mark.flow
ABOUT: dict[str, JsonValue] = {"agent": "claude", "tool": "Bash", "input": {"command": "make"}, "offers": ["once", "run", "rewrite"]}
MANY, DECISIONS = tries(1_000, 10_000), 60


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with nats_server() as one:
        yield one


def wanted(name: str = "call-1", attempt: int = 1, **changes: object) -> ApprovalWanted:
    said = {"kind": "tool_call", "subject": "Run `make`?", "digest": DIGEST, "requested_by": "agent:claude", "about": ABOUT, **changes}
    return ApprovalWanted.model_validate({"attempt": attempt, "approval_id": name, **said})


def waits(name: str = "call-1") -> RunWaits:
    return RunWaits(attempt=1, why=Wait.TOOL_CALL, approval_id=name)


def gone(attempt: int = 1) -> RunFailed:
    return RunFailed(attempt=attempt, code="AGENT_LOST", error="gone", recoverable=True)


async def carrier_says(bus: Bus, *said: Fact) -> None:
    """One record of the run, as its carrier stores it."""
    subject = subjects.event(TenantId("acme"), TaskId("t1"), "run")
    last = await bus.log.last(subject)
    await bus.log.append(subject, Record(at=now(), cause="test", facts=said), expect=last.seq if last else 0, id=new_id())


async def test_what_a_run_wants_is_asked_decided_and_found_by_the_run(server: NatsServer) -> None:
    async with replicas(server.url, 2) as bus:
        with pytest.raises(NotFound):
            await tell(bus, answer("call-1", "ann"))
        await carrier_says(bus, RunClaimed(attempt=1, owner="s1"), wanted(), waits())
        question = await asked(bus, "call-1")
        assert (question.kind, question.digest, question.about, question.requested_by) == ("tool_call", DIGEST, ABOUT, "agent:claude")

        for not_offered in ({"usd": 5.0}, {"scope": "run", "rule": {"tool": "*", "then": "allow"}}):
            with pytest.raises(Invalid):
                await tell(bus, answer("call-1", "ann", allowance=not_offered))
        rewritten = answer("call-1", "ann", allowance={"input": {"command": "make check"}})
        assert (await tell(bus, rewritten)).status == "approved"

        found = await decision(bus, "call-1")
        assert found.allowance and found.allowance.input == {"command": "make check"}
        assert (found.verdict, found.digest, found.by) == (Verdict.APPROVED, DIGEST, "ann")


@pytest.mark.kill
async def test_approvals_dies_between_what_the_run_wants_and_the_question(server: NatsServer) -> None:
    with desk(server.url) as service:
        async with caller(server.url) as bus:
            await service.ready(bus)
            service.arm("approval_wanted.before_ask")
            await carrier_says(bus, wanted(), waits())
            await dead(service.process)
            assert await facts(bus, "call-1") == []
            service.start()
            await asked(bus, "call-1")
            service.kill()
            service.start()
            await service.ready(bus)
            assert (await tell(bus, answer("call-1", "ann"))).status == "approved"
            assert await words(bus, "call-1") == ["approval.requested", "approval.decided"]


@pytest.mark.kill
async def test_approvals_dies_between_the_timer_and_the_question_of_a_run_that_dies_too(server: NatsServer) -> None:
    with desk(server.url) as service:
        async with caller(server.url) as bus:
            await service.ready(bus)
            service.arm("approval.timer_set")
            await carrier_says(bus, wanted(), waits())
            await dead(service.process)
            await carrier_says(bus, gone())
            service.start()
            await until(bus, "call-1", "approval.withdrawn")
            await service.ready(bus)
            with pytest.raises((NotFound, Conflict)):
                await tell(bus, answer("call-1", "ann"))
            assert (await words(bus, "call-1"))[-1] == "approval.withdrawn"


async def test_what_expired_while_nobody_was_there_to_ask_is_told_as_timed_out(server: NatsServer) -> None:
    async with caller(server.url) as bus:
        await carrier_says(bus, wanted(expires_at=now() + timedelta(seconds=0.3)), waits())
        await asyncio.sleep(0.5)
    async with replicas(server.url, 1) as bus:
        found = await decision(bus, "call-1")
        assert (found.verdict, found.decided_by) == (Verdict.REJECTED, DecidedBy.TIMEOUT)


@pytest.mark.parametrize("end", [RunStopped(attempt=1), gone(), None], ids=["stopped", "failed", "nobody says so"])
async def test_a_run_that_ends_leaves_no_open_approval(server: NatsServer, end: Fact | None) -> None:
    async with replicas(server.url, 2) as bus:
        names = [f"call-{number}" for number in range(50)]
        await carrier_says(bus, *(wanted(name) for name in names), waits("call-0"))
        await asked(bus, "call-49")
        await tell(bus, answer("call-0", "ann"))
        await carrier_says(bus, ApprovalDropped(attempt=1, approval_id="call-1", reason="the agent gave up"))
        if end:
            await carrier_says(bus, end)
        else:
            begun = TaskSubmitted(assignment=Assignment(), submitted_by="ann", deadline_at=now())
            await router_says(bus, "t1", begun, TaskCancelled(by="ann", reason="nobody carries it"))
        for name in names[1:]:
            assert len(await until(bus, name, "approval.withdrawn")) == 2
        assert (await words(bus, "call-0"))[-1] == "approval.decided"


async def test_a_run_does_not_let_its_own_task_begin(server: NatsServer) -> None:
    async with replicas(server.url, 1, [{"name": "free", "decide": "approve"}]) as bus:
        await carrier_says(bus, wanted("release"), wanted("x" * 64), wanted("call-2"))
        await decision(bus, "call-2")
        assert await facts(bus, "release") == []


async def decisions(server: NatsServer, bus: Bus, numbers: range) -> tuple[float, float]:
    """Messages and bytes that one decision moved."""
    messages, size = server.sent()
    for number in numbers:
        assert (await tell(bus, answer(f"call-{number}", "ann"))).status == "approved"
    messages_now, size_now = server.sent()
    return (messages_now - messages) / len(numbers), (size_now - size) / len(numbers)


async def want(bus: Bus, numbers: range) -> float:
    """Seconds until all are asked, twenty to a record."""
    began = time.perf_counter()
    for first in range(numbers.start, numbers.stop, 20):
        await carrier_says(bus, *(wanted(f"call-{number}") for number in range(first, min(first + 20, numbers.stop))))
    pending = set(numbers)
    async with asyncio.timeout(300):
        while pending:
            pending = {number for number in pending if not await facts(bus, f"call-{number}")}
    return time.perf_counter() - began


@pytest.mark.skipif(not LONG, reason="ten seconds; `make campaigns` does it")
@pytest.mark.slow
async def test_thousands_of_open_tool_calls_add_nothing_to_what_a_decision_reads(server: NatsServer) -> None:
    with desk(server.url) as service:
        async with caller(server.url) as bus:
            await service.ready(bus)
            await want(bus, range(DECISIONS))
            few = await decisions(server, bus, range(DECISIONS))
            asked_in = await want(bus, range(DECISIONS, DECISIONS * 2 + MANY))
            many = await decisions(server, bus, range(DECISIONS, DECISIONS * 2))
            began = time.perf_counter()
            await carrier_says(bus, gone())
            async with asyncio.timeout(300):
                for number in range(DECISIONS * 2, DECISIONS * 2 + MANY):
                    assert isinstance((await until(bus, f"call-{number}", "approval.withdrawn", within=300))[0], ApprovalRequested)
            ended_in = time.perf_counter() - began
            print(
                f"messages and bytes of a decision: {few} with few, {many} with {MANY} open tool calls of one run"
                f" (asked in {asked_in:.1f} s, withdrawn in {ended_in:.1f} s)"
            )
            assert many[0] < few[0] * 1.5 + 2
            assert many[1] < few[1] * 1.5 + 2048
