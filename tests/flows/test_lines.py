"""Lines of tenants on a real nats-server: fair turns, one tenant alone, and nothing lost when an earlier version was there first."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from nats.js import JetStreamContext, api

from tests.flows.test_lanes import Hands
from trunkline.bus import Bus, BusSettings, WorkItem, connect
from trunkline.bus.answers import Answers
from trunkline.bus.line_consumers import line_consumer, open_line
from trunkline.bus.streams import durable
from trunkline.bus.taker import Taker
from trunkline.bus.visiting import visiting
from trunkline.contracts import subjects
from trunkline.contracts.subjects import Line
from trunkline.telemetry.metrics import Uncounted
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_cli.__main__ import main
from trunkline_cli.stack_facts import _amiss

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
    while (await js.consumer_info("WORK", consumer)).num_ack_pending != number:  # noqa: ASYNC110 - nats-server does not tell
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


@pytest.mark.usefixtures("nothing_comes_by_itself")
async def test_whoever_has_hundreds_under_way_keeps_nobody_waiting_and_goes_on_too(bus: Bus) -> None:
    hands = Hands()
    await asyncio.gather(*(bus.work.put(item("wide", "loud", f"wide-{number}")) for number in range(300)))
    async with asyncio.TaskGroup() as group:
        taking = group.create_task(bus.work.take("wide", 310, hands.carry))
        await hands.until(300)
        await bus.work.put(item("wide", "quiet", "narrow"))
        await bus.work.put(item("wide", "loud", "urgent-and-wide", "P0"))
        await hands.until(302)
        taking.cancel()
    assert {one.task for one in hands.carried} == {"narrow", "urgent-and-wide", *(f"wide-{number}" for number in range(300))}


def of_before(pool: str) -> api.ConsumerConfig:
    """The line of the tenant acme as the version before made it, but that only two may be under way there."""
    return line_consumer(pool, Line("P2", "acme")).evolve(max_ack_pending=2)


class Counts(Uncounted):
    def __init__(self) -> None:
        self.counted: list[tuple[str, ...]] = []

    def count(self, figure: str, *labels: str, by: int = 1) -> None:
        self.counted.append((figure, *labels))


async def test_a_line_that_answers_nothing_is_counted_and_gets_the_form_of_this_version_while_others_are_served(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("trunkline.bus.taker.ANSWER", "trunkline.bus.taker.BRIEF", "trunkline.bus.lines.SILENT"):
        monkeypatch.setattr(name, 0.3)
    monkeypatch.setattr(bus.watch, "meters", counts := Counts())
    await bus.client.jetstream().add_consumer("WORK", of_before("mute"))
    await asyncio.gather(*(bus.work.put(item("mute", "acme", f"mute-{number}")) for number in range(3)))
    hands = Hands()
    async with asyncio.TaskGroup() as group:
        taking = group.create_task(bus.work.take("mute", 10, hands.carry))
        await hands.until(2)
        await bus.work.put(item("mute", "quiet", "not-mute"))
        await hands.until(4)
        taking.cancel()
    assert {one.task for one in hands.carried} == {"mute-0", "mute-1", "mute-2", "not-mute"}
    assert ("lines_unanswered_total", "mute", "P2") in counts.counted


@pytest.mark.usefixtures("nothing_comes_by_itself")
async def test_lines_of_the_version_before_get_the_form_of_this_one_at_a_start_with_what_is_under_way_there(
    bus: Bus, server: NatsServer
) -> None:
    js = bus.client.jetstream()
    await js.add_consumer("WORK", of_before("grown"))
    for number in range(3):
        await bus.work.put(item("grown", "acme", f"grown-{number}"))
    carrying = await js.pull_subscribe_bind("work-grown-P2~acme", "WORK")
    held = await carrying.fetch(2, timeout=10)
    settings = BusSettings(nats_url=server.url)
    async with visiting(settings) as visit:
        assert "the line work-grown-P2~acme is of an earlier version" in await _amiss(visit)
    async with connect(settings, "one"), connect(settings, "other"):
        told = await js.consumer_info("WORK", "work-grown-P2~acme")
        assert (told.config.max_ack_pending, told.num_ack_pending, told.num_redelivered) == (-1, 2, 0)
        held += await carrying.fetch(1, timeout=10)
    for message in held:
        await message.ack_sync()
    async with visiting(settings) as visit:
        assert await _amiss(visit) == []
    assert [message.metadata.num_delivered for message in held] == [1, 1, 1]


async def test_a_line_that_was_made_on_other_servers_is_opened_as_it_is(bus: Bus) -> None:
    """Of one server consumers lie on disk, of several in memory, and nats-server does not let that be changed."""
    js, line = bus.client.jetstream(), Line("P2", "acme")
    await js.add_consumer("WORK", of_before("moved").evolve(mem_storage=True))
    await (answers := Answers(bus.client)).start()
    await open_line(answers, "moved", line)
    assert (await js.consumer_info("WORK", "work-moved-P2~acme")).config.max_ack_pending == -1


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


async def test_going_back_puts_what_lies_in_lines_where_the_version_before_finds_it(capsys: pytest.CaptureFixture[str]) -> None:
    with nats_server() as server:
        async with Plain(server.url) as js:
            await earlier(js)
            async with connect(BusSettings(nats_url=server.url), "after") as bus:
                for tenant in ("acme", "beta"):
                    await bus.work.put(item("dev", tenant, f"of-{tenant}"))
                await bus.work.put(item("faq", "acme", "of-an-agent-elsewhere"), ttl_s=60)
                await begun_and_handed_back(bus, "dev")
            words = ["rollback", "--json", "--nats", server.url]
            assert await asyncio.to_thread(main, words) == 0
            assert json.loads(capsys.readouterr().out) == {"moved": {"dev": 2}, "left": {"faq": 1}}
            found = await (await js.pull_subscribe_bind("work-dev-P2", "WORK")).fetch(2, timeout=5)
            assert {WorkItem.model_validate_json(message.data).task for message in found} == {"of-acme", "of-beta"}
            assert await asyncio.to_thread(main, words) == 0
            assert json.loads(capsys.readouterr().out)["moved"] == {}


async def begun_and_handed_back(bus: Bus, pool: str) -> None:
    """As by a sandbox service that is stopped while it works."""
    hands = Hands()
    async with asyncio.TaskGroup() as group:
        taking = group.create_task(bus.work.take(pool, 1, hands.carry))
        await hands.until(1)
        taking.cancel()


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
