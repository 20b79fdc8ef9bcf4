"""Lines of tenants on a real nats-server: fair turns, one tenant alone, and nothing lost when an earlier version was there first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from nats.js import JetStreamContext, api

from tests.flows.test_lanes import Hands
from trunkline.bus import Bus, BusSettings, WorkItem, connect
from trunkline.bus.answers import Answers
from trunkline.bus.streams import durable
from trunkline.bus.taker import Taker
from trunkline.contracts import subjects
from trunkline.testing.nats import NatsServer, nats_server

pytestmark = pytest.mark.flow


@pytest.fixture(scope="module")
def server() -> AsyncIterator[NatsServer]:
    with nats_server() as server:
        yield server


@pytest.fixture
async def bus(server: NatsServer) -> AsyncIterator[Bus]:
    async with connect(BusSettings(nats_url=server.url), "test") as bus:
        yield bus


def item(pool: str, tenant: str, task: object, lane: str = "P2") -> WorkItem:
    return WorkItem(tenant=tenant, task=str(task), attempt=1, pool=pool, priority=lane)


async def carried(bus: Bus, pool: str, number: int, weights: dict[str, float] | None = None) -> list[WorkItem]:
    """The next so many of a pool, by one hand."""
    hands = Hands()
    hands.may_end.set()
    async with asyncio.TaskGroup() as group:
        taking = group.create_task(bus.work.take(pool, 1, hands.carry, weights))
        await hands.until(number)
        taking.cancel()
    return hands.carried


async def test_a_tenant_with_a_hundred_times_as_many_tasks_has_every_other_turn(bus: Bus) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(300):
            group.create_task(bus.work.put(item("crowd", "loud", number)))
    for number in range(3):
        await bus.work.put(item("crowd", "quiet", f"q{number}"))
    turns = [one.tenant for one in await carried(bus, "crowd", 7)]
    assert turns[:6].count("quiet") == 3, turns
    assert all(one != other for one, other in pairwise(turns[:6]))


async def test_weights_are_kept_to(bus: Bus) -> None:
    for number in range(20):
        await bus.work.put(item("weighed", "heavy", number))
        await bus.work.put(item("weighed", "light", f"l{number}"))
    turns = [one.tenant for one in await carried(bus, "weighed", 16, {"heavy": 3})]
    assert turns.count("heavy") == 12


async def test_a_taker_for_one_tenant_takes_nothing_of_anothers(bus: Bus) -> None:
    for tenant in ("acme", "beta", "acme"):
        await bus.work.put(item("agents", tenant, f"{tenant}-{tenant == 'acme'}"))
    await bus.work.put(item("agents", "acme", "urgent", "P0"))
    async with a_taker(bus, "agents") as taker:
        found = []
        async with asyncio.timeout(10):
            for _ in range(2):
                message = await taker.message()
                found.append(WorkItem.model_validate_json(message.data))
                await message.ack()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await taker.message()
    assert [(one.tenant, one.priority) for one in found] == [("acme", "P0"), ("acme", "P2")]
    assert [one.tenant for one in await carried(bus, "agents", 1)] == ["beta"]


@pytest.fixture
def nothing_comes_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is neither done nor handed back stays away for longer than a test waits."""
    monkeypatch.setattr("trunkline.bus.streams.ACK_WAIT", 120.0)
    monkeypatch.setattr("trunkline.bus.lines.BELIEVED", 0.05)


@pytest.mark.usefixtures("nothing_comes_by_itself")
async def test_what_there_are_hands_for_is_fetched_in_one_go(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trunkline.bus.taker.IN_STOCK", 3600.0)
    await asyncio.gather(*(bus.work.put(item("many", "acme", f"m{number}")) for number in range(5)))
    async with asyncio.timeout(20), a_taker(bus, "many") as taker:
        found = [await taker.message()]  # it says how many lie behind it
        found.append(await taker.message(hands=3))
        await under_way(bus, "work-many-P2~acme", 4)
        found += [await taker.message(hands=2) for _ in range(3)]
        for message in found:
            await message.ack()
    assert sorted(WorkItem.model_validate_json(message.data).task for message in found) == [f"m{number}" for number in range(5)]
    assert [message.metadata.num_delivered for message in found] == [1] * 5


@pytest.mark.usefixtures("nothing_comes_by_itself")
async def test_what_was_fetched_and_is_not_taken_is_soon_anothers(bus: Bus) -> None:
    await asyncio.gather(*(bus.work.put(item("left", "acme", f"l{number}")) for number in range(4)))
    async with asyncio.timeout(20), a_taker(bus, "left") as taker:
        await (await taker.message()).ack()
        await (await taker.message(hands=3)).ack()
        assert len(await carried(bus, "left", 2)) == 2


@pytest.mark.usefixtures("nothing_comes_by_itself")
async def test_fetched_work_is_handed_back_when_its_taker_leaves(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trunkline.bus.taker.IN_STOCK", 3600.0)
    await asyncio.gather(*(bus.work.put(item("leaving", "acme", f"g{number}")) for number in range(4)))
    async with asyncio.timeout(20):
        async with a_taker(bus, "leaving") as taker:
            await (await taker.message()).ack()
            await (await taker.message(hands=3)).ack()
        assert len(await carried(bus, "leaving", 2)) == 2


async def under_way(bus: Bus, consumer: str, number: int) -> None:
    """Returns when so many messages are in somebody's hands."""
    js = bus.client.jetstream()
    while (await js.consumer_info("WORK", consumer)).num_ack_pending != number:  # noqa: ASYNC110
        await asyncio.sleep(0.02)


@asynccontextmanager
async def a_taker(bus: Bus, pool: str) -> AsyncIterator[Taker]:
    await (answers := Answers(bus.client)).start()
    taker = Taker(answers, pool, "acme")
    await taker.open()
    try:
        yield taker
    finally:
        await taker.close()


async def test_a_line_whose_consumer_is_gone_goes_on(bus: Bus) -> None:
    await bus.work.put(item("gone", "acme", 1))
    assert len(await carried(bus, "gone", 1)) == 1
    await emptied(bus, "gone")
    assert await bus.client.jetstream().delete_consumer("WORK", "work-gone-P2~acme")
    await bus.work.put(item("gone", "acme", 2))
    assert [one.task for one in await carried(bus, "gone", 1)] == ["2"]


async def test_work_that_nobody_did_in_its_time_is_forgotten(bus: Bus) -> None:
    await bus.work.put(item("brief", "acme", 1), ttl_s=1)
    await emptied(bus, "brief")


async def emptied(bus: Bus, pool: str) -> None:
    """Returns when nothing of the pool lies there any more."""
    js = bus.client.jetstream()
    for _ in range(100):
        if not (await js.stream_info("WORK", subjects_filter=subjects.work_of(pool))).state.subjects:
            return
        await asyncio.sleep(0.1)
    pytest.fail("it still lies there")


async def earlier(js: JetStreamContext) -> None:
    """WORK and what is taken from it as the version before made them."""
    republish = api.RePublish(src="work.>", dest="live.work.>", headers_only=True)
    await js.add_stream(
        api.StreamConfig("WORK", subjects=["work.>"], retention=api.RetentionPolicy.WORK_QUEUE, duplicate_window=600, republish=republish)
    )
    for lane in ("P0", "P1", "P2", "P3"):
        await js.add_consumer("WORK", durable(f"work-dev-{lane}", f"work.dev.{lane}.>", "Sandbox: released tasks."))


async def test_an_installation_of_the_version_before_goes_on_with_nothing_lost_and_both_versions_work_at_once() -> None:
    with nats_server() as server:
        async with Plain(server.url) as js:
            await earlier(js)
            for number in range(6):
                await js.publish("work.dev.P2.acme", item("dev", "acme", f"old-{number}").written())
            carrying = await js.pull_subscribe_bind("work-dev-P2", "WORK")
            (held,) = await carrying.fetch(1, timeout=5)
            async with connect(BusSettings(nats_url=server.url), "after") as bus:
                await bus.work.put(item("dev", "P2", "new"))  # a tenant that is called like a lane is nobody else's
                await bus.work.put(item("dev", "acme", "brief"), ttl_s=60)
                found = [one.task for one in await carried(bus, "dev", 5)]
                await js.publish("work.dev.P2.beta", item("dev", "beta", "old-by-an-old-router").written())
                found += [one.task for one in await carried(bus, "dev", 3)]
                await held.ack_sync()
                await js.publish("work.dev.P2.acme", item("dev", "acme", "old-again").written())
                (again,) = await carrying.fetch(1, timeout=5)
                assert b"old-again" in again.data, "services of the version before go on with what those of theirs put"
                await again.ack_sync()
                assert (await js.stream_info("WORK")).state.messages == 0
    assert sorted(found) == sorted([*(f"old-{number}" for number in range(1, 6)), "new", "brief", "old-by-an-old-router"])


class Plain:
    """A connection that makes nothing."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> JetStreamContext:
        import nats

        self._client = await nats.connect(self._url)
        return self._client.jetstream()

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()
