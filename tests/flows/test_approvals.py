"""Approvals on a real nats-server: many who decide at once, several replicas, and a clock that outlives the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import pytest

from trunkline.bus import Bus, BusSettings, connect
from trunkline.contracts import subjects
from trunkline.contracts.approval import ApprovalDecided, ApprovalRequested, DecideApproval, DecidedBy, RequestApproval, Verdict
from trunkline.contracts.errors import Conflict, Denied, DomainError, Unavailable
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Accepted, Fact
from trunkline.runtime.clock import now
from trunkline.testing.nats import nats_server
from trunkline_approvals.settings import Settings
from trunkline_approvals.wiring import running

pytestmark = pytest.mark.flow
DIGEST = "a" * 64


def ask(approval: str, expires_in: float | None = None) -> RequestApproval:
    expires_at = now() + timedelta(seconds=expires_in) if expires_in else None
    return RequestApproval(
        tenant="acme", at=now(), approval_id=approval, task_id="t1", subject="Deploy.", digest=DIGEST, requested_by="agent",
        expires_at=expires_at,
    )  # fmt: skip


def answer(approval: str, by: str, verdict: Verdict = Verdict.APPROVED) -> DecideApproval:
    return DecideApproval(tenant="acme", at=now(), approval_id=approval, task_id="t1", verdict=verdict, digest=DIGEST, by=by)


async def facts(bus: Bus, approval: str) -> list[Fact]:
    loaded = await bus.log.load(subjects.event(TenantId("acme"), TaskId("t1"), f"approval-{approval}"))
    return [fact for stored in loaded.records for fact in stored.record.facts]


async def decision(bus: Bus, approval: str) -> ApprovalDecided:
    """Waits for it."""
    async for stored in bus.log.follow(0):
        for fact in stored.record.facts:
            if isinstance(fact, ApprovalDecided) and fact.approval_id == approval:
                return fact
    raise AssertionError("a log does not end")


async def outcome(bus: Bus, command: DecideApproval) -> Accepted | DomainError:
    try:
        return await bus.commands.send("approvals", command.approval_id, command)
    except DomainError as error:
        return error


async def outcomes(bus: Bus, commands: list[DecideApproval]) -> list[Accepted | DomainError]:
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(outcome(bus, command)) for command in commands]
    return [task.result() for task in asked]


@pytest.fixture
def url() -> Iterator[str]:
    with nats_server() as server:
        yield server.url


@asynccontextmanager
async def replicas(url: str, number: int) -> AsyncIterator[Bus]:
    async with AsyncExitStack() as stack:
        for _ in range(number):
            await stack.enter_async_context(running(Settings.model_validate({"nats_url": url})))
        yield await stack.enter_async_context(connect(BusSettings.model_validate({"nats_url": url}), "test"))


async def test_of_sixty_four_who_decide_at_once_exactly_one_wins(url: str) -> None:
    async with replicas(url, 2) as bus:
        await bus.commands.send("approvals", "a7", ask("a7"))
        verdicts = [Verdict.APPROVED, Verdict.REJECTED]

        came = await outcomes(bus, [answer("a7", f"person-{number}", verdicts[number % 2]) for number in range(64)])

        won = [one for one in came if isinstance(one, Accepted)]
        lost = [one for one in came if isinstance(one, DomainError)]
        assert len(won) == 1
        assert {(type(one), one.code) for one in lost} == {(Conflict, "ALREADY_DECIDED")}
        (decided,) = [fact for fact in await facts(bus, "a7") if isinstance(fact, ApprovalDecided)]
        assert won[0].body == {"status": decided.verdict}
        assert {one.details["by"] for one in lost} == {decided.by}


async def test_a_repeated_command_is_taken_again_and_writes_nothing_on_any_replica(url: str) -> None:
    async with replicas(url, 2) as bus:
        command = ask("a8", 60)
        for _ in range(8):
            await bus.commands.send("approvals", "a8", command)
        came = await outcomes(bus, [answer("a8", "ann") for _ in range(16)])

        assert {type(one) for one in came} == {Accepted}
        assert [type(fact) for fact in await facts(bus, "a8")] == [ApprovalRequested, ApprovalDecided]


async def test_a_refusal_crosses_the_bus_with_its_kind_and_code(url: str) -> None:
    async with replicas(url, 1) as bus:
        await bus.commands.send("approvals", "a9", ask("a9"))
        with pytest.raises(Denied) as refusal:
            await bus.commands.send("approvals", "a9", answer("a9", "agent"))
        assert refusal.value.code == "OWN_REQUEST"


async def test_an_expiry_that_comes_while_the_service_is_down_is_made_up_for(url: str) -> None:
    async with replicas(url, 1) as bus:
        await bus.commands.send("approvals", "a1", ask("a1", 1.0))
        await bus.commands.send("approvals", "a2", ask("a2", 1.0))
        await bus.commands.send("approvals", "a2", answer("a2", "ann"))
    async with connect(BusSettings.model_validate({"nats_url": url}), "test") as bus:
        await asyncio.sleep(1.5)
        assert len(await facts(bus, "a1")) == 1
        with pytest.raises(Unavailable):
            await bus.commands.send("approvals", "a1", answer("a1", "ann"), timeout=0.2)

    async with replicas(url, 1) as bus, asyncio.timeout(15):
        expired = await decision(bus, "a1")
        assert (expired.verdict, expired.decided_by) == (Verdict.REJECTED, DecidedBy.TIMEOUT)
        with pytest.raises(Conflict) as refusal:
            await bus.commands.send("approvals", "a1", answer("a1", "ann"))
        assert refusal.value.details["decided_by"] == "timeout"
        last = (await facts(bus, "a2"))[-1]
        assert isinstance(last, ApprovalDecided)
        assert last.decided_by is DecidedBy.HUMAN
