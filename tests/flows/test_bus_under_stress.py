"""The bus when nats-server is away, cuts a connection, or is one of three: nothing torn is taken for whole, nothing closed for open."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator

import pytest

from tests import campaigns
from trunkline.bus import Bus, BusAway, BusSettings, WorkItem, connect
from trunkline.contracts import subjects
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.record import Record
from trunkline.contracts.run import AgentOutput, Said
from trunkline.contracts.task import TaskStarted
from trunkline.runtime.clock import now
from trunkline.testing.nats import NatsServer, nats_cluster, nats_server

pytestmark = [pytest.mark.flow, pytest.mark.timeout(90)]
TENANT, TASK = TenantId("acme"), TaskId("t1")
OUTPUT = subjects.event(TENANT, TASK, "output")


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with nats_server() as server:
        yield server


@pytest.fixture
async def bus(server: NatsServer) -> AsyncIterator[Bus]:
    async with connect(BusSettings(nats_url=server.url), "test") as bus:
        yield bus


def chatter(lines: int = 8) -> Record:
    said = tuple(AgentOutput(attempt=1, line=n, kind=Said.MESSAGE, text="x" * 16_000) for n in range(lines))
    return Record(at=now(), facts=said)


async def write(bus: Bus, subject: str, records: int, record: Record) -> None:
    seq = 0
    for number in range(records):
        seq = await bus.log.append(subject, record, expect=seq, id=f"{subject}-{number}")


async def test_many_late_readers_of_a_chatty_job_get_everything_and_keep_the_connection(bus: Bus) -> None:
    await write(bus, OUTPUT, 200, chatter(4))

    async def read() -> int:
        return len((await bus.log.load(OUTPUT)).records)

    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(read()) for _ in range(30)]

    assert {reader.result() for reader in readers} == {200}
    assert bus.client.stats["reconnects"] == 0


async def test_a_page_with_a_hole_in_it_is_asked_for_again(server: NatsServer, bus: Bus) -> None:
    await write(bus, OUTPUT, 300, chatter(4))

    async def read() -> list[int]:
        return [stored.seq for stored in (await bus.log.load(OUTPUT)).records]

    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(read()) for _ in range(12)]
        for _ in range(3):
            await asyncio.sleep(0.1)
            cut(bus)

    assert all(reader.result() == list(range(1, 301)) for reader in readers)


def cut(bus: Bus) -> None:
    """As a switch would that loses power."""
    transport = bus.client._transport  # type: ignore[attr-defined]  # there is no public way to lose a connection
    transport._io_writer.transport.abort()


@pytest.mark.skipif(not campaigns.LONG, reason="a quarter of a minute of waiting; `make campaigns` does it")
async def test_writers_of_much_wait_for_a_server_that_is_away(server: NatsServer, bus: Bus) -> None:
    server.kill(signal.SIGKILL)

    async def write_much(number: int) -> None:
        await write(bus, subjects.event(TENANT, TaskId(f"t{number}"), "output"), 1, chatter())

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(write_much(number))
        await asyncio.sleep(14)  # by now each has been tried so often that the client's own buffer is full
        server.start()

    assert await bus.log.last_seq() == 4


async def test_a_connection_that_is_closed_for_good_ends_the_service(server: NatsServer) -> None:
    config = server.folder / "nats.conf"
    with pytest.raises(BusAway, match="credentials"):
        async with connect(BusSettings(nats_url=server.url), "test"):
            config.write_text(config.read_text() + "\nauthorization { user: a, password: b }\n")
            assert server.process
            os.kill(server.process.pid, signal.SIGHUP)
            await asyncio.sleep(10)


async def test_an_unreadable_piece_of_work_harms_no_other(bus: Bus) -> None:
    carried: asyncio.Queue[WorkItem] = asyncio.Queue()

    async def carry(item: WorkItem, _: int) -> None:
        carried.put_nowait(item)

    await bus.client.jetstream().publish(subjects.work("dev", "P2", TENANT), b'{"of": "another version"}')
    item = WorkItem(tenant="acme", task="t1", attempt=1, pool="dev", priority="P2")
    await bus.work.put(item)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        taking = group.create_task(bus.work.take("dev", 2, carry))
        assert await carried.get() == item
        taking.cancel()


async def test_what_a_cluster_acknowledged_is_read_at_once_though_any_of_its_servers_answers() -> None:
    stale = []

    async def write_and_read(bus: Bus, task: str) -> None:
        subject, seq = subjects.event(TENANT, TaskId(task), "run"), 0
        for number in range(60):
            record = Record(at=now(), facts=(TaskStarted(attempt=number),))
            seq = await bus.log.append(subject, record, expect=seq, id=f"{task}-{number}")
            if (await bus.log.load(subject)).seq != seq:
                stale.append((task, number))

    with nats_cluster(3) as servers:
        url = ",".join(server.url for server in servers)
        async with connect(BusSettings(nats_url=url, replicas=3), "test") as bus, asyncio.TaskGroup() as group:
            for number in range(16):
                group.create_task(write_and_read(bus, f"t{number}"))

    assert stale == []
