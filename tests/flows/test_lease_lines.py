"""Lines of agents on a real nats-server: nobody starves behind what nobody takes, nothing rests once it is wanted, and poison is buried."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from trunkline.bus import Bus, BusSettings, WorkItem, connect
from trunkline.contracts.agent import Claim, Claimed, Leased
from trunkline.contracts.errors import Unavailable
from trunkline.contracts.ids import TenantId
from trunkline.contracts.subjects import AgentCall
from trunkline.contracts.task import Priority
from trunkline.runtime.clock import now
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_router.handlers import lease_line
from trunkline_router.handlers.lease_claims import Claims
from trunkline_router.handlers.lease_line import Waiting
from trunkline_router.ports import Handed

pytestmark = pytest.mark.flow


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server() as one:
        yield one


@pytest.fixture
async def bus(server: NatsServer) -> AsyncIterator[Bus]:
    async with connect(BusSettings(nats_url=server.url), "test") as bus:
        yield bus


class Tasks:
    """A stand-in for the tasks themselves: the type of each is the first word of its name, and some break whoever looks at them."""

    def __init__(self) -> None:
        self.looked: Counter[str] = Counter()
        self.broken: set[str] = set()
        self.broken_when_given: set[str] = set()
        self.moved = asyncio.Event()

    async def kind(self, handed: Handed) -> str:
        self.looked[handed.item.task] += 1
        self.moved.set()
        if handed.item.task in self.broken:
            raise ValueError("a fact that nobody can read")
        return handed.item.task.partition("-")[0]

    async def give(self, handed: Handed, _: Waiting) -> Leased:
        if handed.item.task in self.broken_when_given:
            raise ValueError("a lease that nobody can write")
        task, until = handed.item.task, now() + timedelta(seconds=60)
        return Leased(task_id=task, lease=task, attempt=1, until=until, type="t", pool="p", priority=Priority.P2, deadline_at=until)

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not done():
                self.moved.clear()
                await self.moved.wait()


class Agents:
    """Of one router."""

    def __init__(self, bus: Bus, tasks: Tasks) -> None:
        self.claims = Claims(bus.hands.of, cast(Any, tasks), cast(Any, SimpleNamespace(lasts=timedelta(seconds=15))))

    async def asks(self, pool: str, *types: str, wait_s: float = 20) -> list[str]:
        """For a task of these types; what was given."""
        name = f"agent-of-{'-'.join(types)}"
        wish = Claim(pools=(pool,), types=types, session=name, wait_s=wait_s)
        answer = await self.claims.claim(AgentCall(TenantId("acme"), name, "claim"), wish)
        given = [task.task_id for task in Claimed.model_validate(answer.body).tasks]
        for task in given:
            self.claims.untold.known(task)
        return given

    async def no_line_is_open(self) -> None:
        async with asyncio.timeout(20):
            while self.claims._lines:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)


@asynccontextmanager
async def asking(bus: Bus, tasks: Tasks) -> AsyncIterator[Agents]:
    agents = Agents(bus, tasks)
    async with agents.claims.open():
        yield agents


async def put(bus: Bus, pool: str, *names: str) -> None:
    await asyncio.gather(*(bus.work.put(WorkItem(tenant="acme", task=name, attempt=1, pool=pool, priority="P2")) for name in names))


async def test_an_agent_is_given_its_task_though_hundreds_lie_before_it_that_nobody_takes(bus: Bus) -> None:
    tasks = Tasks()
    await put(bus, "deep", *(f"odd-{number}" for number in range(600)))
    await put(bus, "deep", "even-1")
    async with asking(bus, tasks) as agents:
        assert await agents.asks("deep", "even") == ["even-1"]
    assert tasks.looked.total() < 3 * 600, "what nobody takes is looked at again and again"


async def test_who_comes_later_waits_for_no_rest_though_nobody_was_there_in_between(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_line, "rest_s", lambda *_: 3600.0)
    monkeypatch.setattr(lease_line, "LINGER", 0.01)
    tasks = Tasks()
    await put(bus, "late", *(f"rested-{number}" for number in range(5)))
    async with asking(bus, tasks) as agents:
        async with asyncio.TaskGroup() as group:
            first = group.create_task(agents.asks("late", "other"))
            await tasks.until(lambda: len(tasks.looked) == 5)
            agents.claims.end()
        assert first.result() == []
        await agents.no_line_is_open()
        found = [task for _ in range(5) for task in await agents.asks("late", "rested")]
    assert sorted(found) == [f"rested-{number}" for number in range(5)]


async def test_who_comes_while_others_wait_is_given_what_rests_at_once(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_line, "rest_s", lambda *_: 3600.0)
    tasks = Tasks()
    await put(bus, "mixed", *(f"wanted-{number}" for number in range(3)))
    async with asking(bus, tasks) as agents, asyncio.TaskGroup() as group:
        other = group.create_task(agents.asks("mixed", "unlikely"))
        await tasks.until(lambda: len(tasks.looked) == 3)
        found = [task for _ in range(3) for task in await agents.asks("mixed", "wanted")]
        assert sorted(found) == [f"wanted-{number}" for number in range(3)]
        await put(bus, "mixed", "unlikely-1")
        assert await other == ["unlikely-1"]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed, or is not wanted, comes again at once."""
    monkeypatch.setattr("trunkline.bus.delivery.PAUSES", (0.01,))
    monkeypatch.setattr("trunkline.bus.lines.BELIEVED", 0.05)
    monkeypatch.setattr(lease_line, "PAUSE", 0.01)
    monkeypatch.setattr(lease_line, "rest_s", lambda *_: 0.01)


@asynccontextmanager
async def a_letter(bus: Bus) -> AsyncIterator[Callable[[], Any]]:
    kept: asyncio.Queue[str] = asyncio.Queue()
    before, bus.dead.kept = bus.dead.kept, kept.put_nowait
    async with asyncio.timeout(20):
        yield kept.get
    bus.dead.kept = before


@pytest.mark.usefixtures("hurried")
async def test_a_task_that_nobody_can_read_is_buried_after_eight_tries_and_keeps_nobody_waiting(bus: Bus) -> None:
    tasks = Tasks()
    tasks.broken.add("poison")
    await put(bus, "ill", "poison")
    async with a_letter(bus) as letter, asking(bus, tasks) as agents, asyncio.TaskGroup() as group:
        waits = group.create_task(agents.asks("ill"))
        await tasks.until(lambda: tasks.looked["poison"] > 0)
        await put(bus, "ill", "well-1")
        assert await waits == ["well-1"]
        waits = group.create_task(agents.asks("ill"))
        assert await letter() == "work-ill-P2~acme"
        await put(bus, "ill", "well-2")
        assert await waits == ["well-2"]
    assert tasks.looked["poison"] == 8


@pytest.mark.usefixtures("hurried")
async def test_a_task_that_cannot_be_given_is_buried_too_and_to_be_handed_back_is_no_try(bus: Bus) -> None:
    tasks = Tasks()
    tasks.broken_when_given.add("sour-1")
    await put(bus, "sour", "sour-1")
    async with a_letter(bus) as letter, asking(bus, tasks) as agents, asyncio.TaskGroup() as group:
        other = group.create_task(agents.asks("sour", "sweet"))
        await tasks.until(lambda: tasks.looked["sour-1"] >= 10)
        looked = tasks.looked["sour-1"]
        waits = group.create_task(agents.asks("sour", "sour"))
        assert await letter() == "work-sour-P2~acme"
        assert tasks.looked["sour-1"] >= looked + 8, "handing it back was counted"
        await put(bus, "sour", "sweet-1", "sour-2")
        assert [await other, await waits] == [["sweet-1"], ["sour-2"]]


@pytest.mark.usefixtures("hurried")
async def test_a_task_of_which_nothing_is_known_now_is_tried_for_as_long_as_that_takes(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks, tries = Tasks(), iter(range(20))

    async def away(handed: Handed) -> str:
        if next(tries, None) is not None:
            raise Unavailable("the log cannot be read now", code="BUS_AWAY")
        return "known"

    monkeypatch.setattr(tasks, "kind", away)
    await put(bus, "away", "known-1")
    async with asking(bus, tasks) as agents:
        assert await agents.asks("away") == ["known-1"]
