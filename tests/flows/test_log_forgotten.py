"""Three servers that all restart at once forget how far the consumers of the log are: nothing old is done again, and nothing is lost."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from datetime import UTC, datetime

from nats.errors import Error as NatsError
from nats.js import JetStreamContext, api
from nats.js.errors import APIError

from tests.campaigns import LONG
from trunkline.bus import Bus, BusSettings, Stored, connect
from trunkline.bus.streams import CONSUMERS, EVENTS, MAX_ACK_PENDING
from trunkline.contracts import subjects
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.record import Record
from trunkline.contracts.task import TaskStarted
from trunkline.testing.nats import NatsServer, nats_cluster, nats_server

OLD = MAX_ACK_PENDING + 44
"""More than are left to come again by themselves."""
BEFORE = 3
NAME = "router-tasks"
RECORD = Record(at=datetime(2026, 11, 22, tzinfo=UTC), facts=(TaskStarted(attempt=1, by="test"),))


def about(number: int) -> str:
    return subjects.event(TenantId("acme"), TaskId(f"task-{number}"), subjects.TASK)


async def info(js: JetStreamContext) -> api.ConsumerInfo:
    async with asyncio.timeout(40):
        while True:
            try:
                found: api.ConsumerInfo = await js.consumer_info(EVENTS, NAME)
                return found
            except (NatsError, APIError, TimeoutError):
                await asyncio.sleep(0.1)


async def as_an_earlier_version(settings: BusSettings) -> None:
    """The consumer lies on disk, and is done with what is there."""
    async with connect(settings, "earlier") as bus:
        hooks = (await (js := bus.client.jetstream()).consumer_info(EVENTS, "relay-webhooks")).config
        assert (hooks.mem_storage, hooks.opt_start_seq) == (True, 1)  # it begins where it was made, however often it forgets that
        config = next(config for _, config in CONSUMERS if config.name == NAME)
        await js.delete_consumer(EVENTS, NAME)
        await js.add_consumer(EVENTS, config)
        await asyncio.gather(*(bus.log.append(about(number), RECORD, expect=0, id=str(number)) for number in range(BEFORE)))
        pulled = await js.pull_subscribe_bind(consumer=NAME, stream=EVENTS)
        for message in await pulled.fetch(BEFORE, timeout=5):
            await message.ack_sync()


class Service:
    """Hears what happens to tasks."""

    def __init__(self) -> None:
        self.heard: Counter[str] = Counter()
        self._more = asyncio.Event()

    async def on(self, stored: Stored) -> None:
        self.heard[stored.subject] += 1
        self._more.set()

    async def hears(self, bus: Bus, numbers: range) -> None:
        await asyncio.gather(*(bus.log.append(about(number), RECORD, expect=0, id=str(number)) for number in numbers))
        async with asyncio.timeout(40):
            while not all(self.heard[about(number)] for number in numbers):
                self._more.clear()
                await self._more.wait()


async def all_forget(nodes: list[NatsServer], bus: Bus) -> None:
    """By a kill in `make campaigns`, as three servers take a while to come back; else as if they had been killed."""
    if not LONG:
        await forgets(bus)
        return
    for node in nodes:
        node.kill(signal.SIGKILL)
    for node in nodes:
        await asyncio.to_thread(node.start)


async def forgets(bus: Bus) -> None:
    await bus.client.request(f"$JS.API.CONSUMER.RESET.{EVENTS}.{NAME}", b'{"seq":%d}' % (BEFORE + 1), timeout=5)


async def acked(js: JetStreamContext, count: int) -> None:
    async with asyncio.timeout(40):
        while True:
            found = await info(js)
            if found.ack_floor and found.ack_floor.stream_seq >= count:
                return
            await asyncio.sleep(0.05)


async def test_what_all_servers_forgot_at_once_is_not_done_again() -> None:
    with nats_cluster(3) as nodes:
        settings, service = BusSettings.model_validate({"nats_url": ",".join(node.url for node in nodes), "replicas": 3}), Service()
        await as_an_earlier_version(settings)
        async with connect(settings, "router") as bus:
            assert bus.inlet.floors
            bus.inlet.facts(NAME, subjects.TASK, service.on)
            js = bus.client.jetstream()
            found = await info(js)
            # It was made anew, and goes on where it was.
            assert (found.config.mem_storage, found.config.opt_start_seq) == (
                True,
                BEFORE + 1,
            )
            await bus.inlet.start("router")
            await service.hears(bus, range(BEFORE, OLD))
            await acked(js, OLD)
            await bus.inlet.floors.look()
            await all_forget(nodes, bus)
            await service.hears(bus, range(OLD, OLD + 1))
            await bus.inlet.floors.look()
            await acked(js, OLD + 1)
        async with connect(settings, "router") as bus:  # one that starts now knows it from the disk
            assert bus.inlet.floors
            bus.inlet.floors.hear(NAME)
            await bus.inlet.floors.load()
            assert bus.inlet.floors.done(NAME, OLD)
            await forgets(bus)
            found = await info(bus.client.jetstream())
            assert found.ack_floor and found.ack_floor.stream_seq <= BEFORE
            await bus.inlet.floors.look()
            await acked(bus.client.jetstream(), OLD)  # though nobody reads
        assert service.heard == Counter({about(number): 1 for number in range(BEFORE, OLD + 1)})


async def test_one_server_alone_keeps_them_on_disk() -> None:
    with nats_server() as server:
        settings = BusSettings.model_validate({"nats_url": server.url})
        async with connect(settings, "first") as bus:
            js, config = bus.client.jetstream(), next(config for _, config in CONSUMERS if config.name == NAME)
            assert not (await info(js)).config.mem_storage
            await js.delete_consumer(EVENTS, NAME)
            await js.add_consumer(EVENTS, config.evolve(mem_storage=True))
            seq = await bus.log.append(about(0), RECORD, expect=0, id="0")
            pulled = await js.pull_subscribe_bind(consumer=NAME, stream=EVENTS)
            await (await pulled.fetch(1, timeout=5))[0].ack_sync()
        async with connect(settings, "second") as bus:
            found = (await info(bus.client.jetstream())).config
            assert (bool(found.mem_storage), found.opt_start_seq) == (False, seq + 1)
