"""Thousands of open approvals do not slow a decision; `make campaigns` opens ten times as many."""

from __future__ import annotations

import asyncio
import statistics
import time
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
from trunkline.testing.nats import nats_server
from trunkline_approvals.adapters.expiry_timers import ExpiryTimers
from trunkline_approvals.model import ExpireApproval

pytestmark = [pytest.mark.flow, pytest.mark.slow]
FEW, MANY, DECISIONS = 10, tries(2_000, 20_000), 60


@pytest.fixture
def url() -> Iterator[str]:
    with nats_server() as server:
        yield server.url


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


async def decided(bus: Bus, numbers: range) -> float:
    """Milliseconds that half of the decisions took at most; each on an approval that the service has not seen since it was asked."""
    took = []
    for number in numbers:
        began = time.perf_counter()
        assert (await tell(bus, answer(f"open-{number}", "ann"))).status == "approved"
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


async def test_thousands_of_open_approvals_do_not_slow_a_decision(url: str) -> None:
    with desk(url) as service:
        async with caller(url) as bus:
            await service.ready(bus)
            await tell(bus, ask("warm"))
            await opened(bus, range(DECISIONS + FEW))
            few = await decided(bus, range(DECISIONS))
            began = time.perf_counter()
            await opened(bus, range(1000, 1000 + MANY))
            made = time.perf_counter() - began
            many = await decided(bus, range(1000, 1000 + DECISIONS))
            print(f"p50 of a decision: {few:.2f} ms with {FEW} open, {many:.2f} ms with {MANY} open (made in {made:.1f} s)")
            assert many < 3 * few + 2
