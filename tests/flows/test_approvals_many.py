"""Thousands of open approvals add nothing to a decision; `make campaigns` opens ten times as many."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.campaigns import tries
from tests.flows.approval_desk import DIGEST, answer, ask, caller, desk, tell
from trunkline.bus import Bus
from trunkline.contracts import subjects
from trunkline.contracts.approval import ApprovalRequested
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.record import Record
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_approvals.adapters.expiry_timers import ExpiryTimers
from trunkline_approvals.model import ExpireApproval

pytestmark = [pytest.mark.flow, pytest.mark.slow]
FEW, MANY, DECISIONS = 10, tries(2_000, 20_000), 60


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with nats_server() as server:
        yield server


async def opened(bus: Bus, numbers: range) -> None:
    """As the service leaves them behind, a question and a timer each, without sending thousands of commands for it."""
    timers, at_once, later = ExpiryTimers(bus.timers, "approvals"), asyncio.Semaphore(256), now() + timedelta(days=1)

    async def one(number: int) -> None:
        name = f"open-{number}"
        asked = ApprovalRequested(approval_id=name, subject="?", digest=DIGEST, requested_by="agent", expires_at=later)
        wake = ExpireApproval(tenant="acme", at=later, approval_id=name, task_id="t1")
        subject = subjects.event(TenantId("acme"), TaskId("t1"), subjects.approval_part(name))
        async with at_once:
            await timers.set(later, wake)
            await bus.log.append(subject, Record(at=now(), cause="request", facts=(asked,)), expect=0, id=new_id())

    async with asyncio.TaskGroup() as group:
        for number in numbers:
            group.create_task(one(number))


async def decided(server: NatsServer, bus: Bus, numbers: range) -> tuple[float, float]:
    """Messages and bytes that one decision moved; each on an approval that the service has not seen since it was asked."""
    messages, size = server.sent()
    for number in numbers:
        assert (await tell(bus, answer(f"open-{number}", "ann"))).status == "approved"
    messages_now, size_now = server.sent()
    return (messages_now - messages) / len(numbers), (size_now - size) / len(numbers)


async def test_thousands_of_open_approvals_add_nothing_to_what_a_decision_reads(server: NatsServer) -> None:
    """`make bench` tells how long one takes; here it is counted, which no busy machine can spoil."""
    with desk(server.url) as service:
        async with caller(server.url) as bus:
            await service.ready(bus)
            await tell(bus, ask("warm"))
            await opened(bus, range(DECISIONS + FEW))
            few = await decided(server, bus, range(DECISIONS))
            await opened(bus, range(1000, 1000 + MANY))
            many = await decided(server, bus, range(1000, 1000 + DECISIONS))
            print(f"messages and bytes of a decision: {few} with {FEW} open, {many} with {MANY} open")
            assert many[0] < few[0] * 1.5 + 2
            assert many[1] < few[1] * 1.5 + 2048
