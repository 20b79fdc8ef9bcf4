"""The till on a real nats-server: what was spent is never lost, never counted twice, and a limit holds over services and restarts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from aiohttp import web

from tests.conformance.door_bench import ASK, KEY, behind_a_door, upstream_that
from trunkline.bus import Bus, BusSettings, WorkItem, connect
from trunkline.contracts import subjects
from trunkline.contracts.errors import Exhausted
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.spend import ModelAnswered
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_sandbox.adapters.model.shapes import Upstream
from trunkline_sandbox.handlers.till import SpendLog, TaskTill, day_of
from trunkline_sandbox.model.budget import BudgetLimits, BudgetScope, Totals

pytestmark = pytest.mark.flow
TENANT = TenantId("acme")


@pytest.fixture
async def server() -> AsyncIterator[NatsServer]:
    with nats_server() as server:
        yield server


@pytest.fixture
async def bus(server: NatsServer) -> AsyncIterator[Bus]:
    async with connect(BusSettings(nats_url=server.url), "test") as bus:
        yield bus


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A short one: the path of a socket has 107 bytes."""
    with TemporaryDirectory(prefix="door-") as folder:
        yield Path(folder)


def item(task: str = "task1", attempt: int = 1, tenant: str = TENANT) -> WorkItem:
    return WorkItem(tenant=tenant, task=task, attempt=attempt, pool="dev", priority="normal")


async def till(bus: Bus, limits: BudgetLimits | None = None, work: WorkItem | None = None, sitting: int = 1) -> TaskTill:
    opened = TaskTill(SpendLog(bus.log, work or item(), now, sitting), bus.counters, limits or BudgetLimits(), asyncio.Event())
    await opened.open()
    return opened


def answer(usd: float = 1.0, request: str = "", **more: object) -> ModelAnswered:
    told = {"attempt": 0, "sitting": 0, "request": request or new_id(), "shape": "anthropic", "status": 200, "usd": usd}
    return ModelAnswered.model_validate({**told, "input_tokens": 10, "output_tokens": 2, **more})


async def day_total(bus: Bus, what: str = "usd", tenant: TenantId = TENANT) -> int:
    return await bus.counters.total(tenant, day_of(now()), what)


@asynccontextmanager
async def waiting(till: TaskTill) -> AsyncIterator[asyncio.Task[None]]:
    """A request that is held."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(till.admit())
        async with asyncio.timeout(20):
            while till.what is None and not task.done():  # noqa: ASYNC110 - nobody tells that it is held
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        assert not task.done()
        yield task


async def test_a_counter_adds_up_and_knows_a_repeat_even_after_the_server_was_killed(bus: Bus, server: NatsServer) -> None:
    assert await bus.counters.total(TENANT, "20261121", "usd") == 0
    assert await bus.counters.add(TENANT, "20261121", "usd", 5, id="a") == 5
    assert await bus.counters.add(TENANT, "20261121", "usd", 7, id="b") == 12
    server.kill()
    server.start()

    assert await bus.counters.add(TENANT, "20261121", "usd", 7, id="b") == 12
    assert await bus.counters.add(TENANT, "20261121", "usd", 1, id="c") == 13
    assert await bus.counters.total(TenantId("other"), "20261121", "usd") == 0


async def test_many_services_add_to_one_counter_at_once(bus: Bus, server: NatsServer) -> None:
    async with AsyncExitStack() as stack:
        buses = [bus, *[await stack.enter_async_context(connect(BusSettings(nats_url=server.url), f"s{n}")) for n in range(2)]]
        async with asyncio.TaskGroup() as group:
            for n in range(300):
                group.create_task(buses[n % 3].counters.add(TENANT, "20261121", "in", n, id=f"n{n}"))

    assert await bus.counters.total(TENANT, "20261121", "in") == sum(range(300))


async def test_what_was_spent_is_a_fact_of_its_sitting_and_counted_for_the_day(bus: Bus) -> None:
    first = await till(bus, work=item(attempt=2), sitting=3)
    spent = answer(0.25, cached_tokens=4)
    await first.spent(spent)

    (stored,) = (await bus.log.load(subjects.event(TENANT, TaskId("task1"), subjects.SPEND))).records
    (fact,) = stored.record.facts
    assert fact == spent.model_copy(update={"attempt": 2, "sitting": 3})
    assert first.totals == Totals(1, 10, 4, 2, 250_000)
    assert [await day_total(bus, what) for what in ("usd", "in", "out")] == [250_000, 10, 2]


async def test_the_same_answer_again_is_stored_once_and_counted_once(bus: Bus) -> None:
    once = answer(1.0)
    await (await till(bus)).spent(once)
    await (await till(bus)).spent(once)

    assert (await till(bus)).totals.answers == 1
    assert await day_total(bus) == 1_000_000


async def test_whoever_takes_over_has_the_totals_of_the_log(bus: Bus) -> None:
    await (await till(bus)).spent(answer(1.0))
    await (await till(bus, work=item(attempt=2))).spent(answer(2.0))

    assert (await till(bus, work=item(attempt=3))).totals.usd == 3.0
    assert await day_total(bus) == 3_000_000


async def test_what_a_crash_left_uncounted_is_counted_by_whoever_takes_over(bus: Bus) -> None:
    spend = SpendLog(bus.log, item(), now)
    await spend.say(answer(1.5))
    assert await day_total(bus) == 0

    for _ in range(2):
        await till(bus)
    assert await day_total(bus) == 1_500_000


async def test_what_was_spent_too_long_ago_to_be_known_for_a_repeat_is_not_counted_again(bus: Bus) -> None:
    long_ago = now() - timedelta(minutes=50)
    await SpendLog(bus.log, item(), lambda: long_ago).say(answer(1.5))

    assert (await till(bus)).totals.usd == 1.5
    assert await bus.counters.total(TENANT, day_of(long_ago), "usd") == 0


async def test_days_are_kept_apart(bus: Bus) -> None:
    midnight = datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC)
    spend = SpendLog(bus.log, item(), lambda: midnight)
    await TaskTill(spend, bus.counters, BudgetLimits(), asyncio.Event()).spent(answer(1.0))

    assert await bus.counters.total(TENANT, "20261121", "usd") == 1_000_000
    assert await bus.counters.total(TENANT, "20261122", "usd") == 0


async def test_a_used_up_budget_holds_requests_until_it_is_raised(bus: Bus) -> None:
    used_up = asyncio.Event()
    held = TaskTill(SpendLog(bus.log, item(), now), bus.counters, BudgetLimits(task_usd=5), used_up)
    await held.open()
    await held.admit()
    await held.spent(answer(5.5))
    assert not used_up.is_set()

    async with waiting(held) as request:
        assert used_up.is_set()
        assert held.what is not None
        assert (held.what.scope, held.what.limit, held.what.spent, held.again()) == (BudgetScope.TASK, 5, 5.5, 5)
        held.raise_(0.1)
        await asyncio.sleep(0.05)
        assert (request.done(), used_up.is_set(), held.what.limit) == (False, True, 5.1)
        held.raise_(5)

    assert (used_up.is_set(), held.what) == (False, None)


async def test_each_answer_tells_what_the_task_might_cost_when_it_came(bus: Bus) -> None:
    free, held = await till(bus), await till(bus, BudgetLimits(task_usd=5))
    await free.spent(answer(1.0))
    await held.spent(answer(1.0))
    held.raise_(2.5, BudgetScope.TASK)
    await held.spent(answer(1.0))

    assert [fact.limit_usd for _, fact in await SpendLog(bus.log, item(), now).load()] == [None, 5.0, 7.5]


async def test_a_raise_that_is_told_again_after_a_takeover_lets_requests_in(bus: Bus) -> None:
    await (await till(bus)).spent(answer(5.5))
    taken_over = await till(bus, BudgetLimits(task_usd=5), item(attempt=2))
    taken_over.raise_(5, BudgetScope.TASK)

    async with asyncio.timeout(20):
        await taken_over.admit()


async def test_the_end_refuses_what_waits_and_what_comes(bus: Bus) -> None:
    held = await till(bus, BudgetLimits(task_usd=1))
    await held.spent(answer(2.0))
    waiter = asyncio.get_running_loop().create_task(held.admit())
    await asyncio.sleep(0.05)
    held.end()

    for refused in (waiter, held.admit()):
        with pytest.raises(Exhausted, match="2.00 of 1.00 US dollars") as error:
            await refused
        assert error.value.code == "BUDGET"


async def test_the_limit_of_a_day_holds_over_services_and_tasks(bus: Bus, server: NatsServer) -> None:
    limits = BudgetLimits(tenant_day_usd=10)
    async with connect(BusSettings(nats_url=server.url), "other") as other:
        here, there = await till(bus, limits), await till(other, limits, item("task2"))
        await here.admit()
        await there.admit()
        await there.spent(answer(11.0))
        await asyncio.sleep(1.1)
        async with waiting(here):
            assert here.what is not None
            assert (here.what.scope, here.what.spent) == (BudgetScope.DAY, 11.0)
            here.raise_(5)
        stranger = await till(bus, limits, item("task3", tenant="globex"))
        async with asyncio.timeout(20):
            await stranger.admit()


async def test_a_limit_holds_while_the_bus_is_away(bus: Bus, server: NatsServer) -> None:
    held = await till(bus, BudgetLimits(task_usd=5, tenant_day_usd=10))
    server.kill()
    try:
        async with asyncio.timeout(5):
            await held.admit()
            spending = asyncio.get_running_loop().create_task(held.spent(answer(6.0)))
            await asyncio.sleep(0)
        async with waiting(held):
            held.raise_(5)
    finally:
        server.start()
    async with asyncio.timeout(20):
        await spending

    assert await day_total(bus) == 6_000_000


async def test_sixteen_at_once_overshoot_a_budget_by_what_they_ask_and_no_more(bus: Bus, tmp_path: Path) -> None:
    asked = 0

    async def model(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.2)
        usage = {"input_tokens": 0, "output_tokens": 40_000}
        return web.json_response({"type": "message", "model": "claude-opus-4-5", "content": [], "usage": usage})

    held = await till(bus, BudgetLimits(task_usd=1))
    async with upstream_that(model) as url, behind_a_door(tmp_path, Upstream(KEY, url), held) as agent:
        first = [status for status, _ in await asyncio.gather(*(agent.post(json=ASK) for _ in range(16)))]
        later = [asyncio.get_running_loop().create_task(agent.post(json=ASK)) for _ in range(16)]
        await asyncio.sleep(0.2)
        held.end()
        refused = await asyncio.gather(*later)

    assert (first, asked) == ([200] * 16, 16)
    assert {status for status, _ in refused} == {402}
    assert json.loads(refused[0][1])["error"]["type"] == "billing_error"
    assert held.totals.usd == 16.0
    assert await day_total(bus) == 16_000_000
