"""The relay on a real nats-server: no stale read on any replica, few questions to the log, the same views after any death."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import nats
import pytest
from nats.aio.msg import Msg

from tests.unit.relay.timelines import Line, life
from trunkline.bus import Bus, BusSettings, Log, Stored, connect
from trunkline.contracts.errors import NotFound, Unavailable
from trunkline.contracts.task import TaskStatus
from trunkline.contracts.views import GetTask, ListTasks, TaskPage, TaskView
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_relay.adapters.sqlite_views import open_views
from trunkline_relay.handlers.keep_fresh import ASK_EVERY
from trunkline_relay.settings import Settings
from trunkline_relay.wiring import answering, running

pytestmark = pytest.mark.flow
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with nats_server() as one:
        yield one


def settings(server: NatsServer, data_dir: Path | None = None) -> Settings:
    return Settings.model_validate({"nats_url": server.url, "data_dir": data_dir})


@asynccontextmanager
async def talking(url: str) -> AsyncIterator[Bus]:
    async with connect(BusSettings.model_validate({"nats_url": url}), "test") as bus:
        yield bus


async def store(bus: Bus, lines: list[Line]) -> None:
    """Append every part of a life in its order."""
    ends: dict[str, int] = {}
    for entry in lines:
        id = f"{entry.subject}-{entry.seq}"
        ends[entry.subject] = await bus.log.append(entry.subject, entry.record, expect=ends.get(entry.subject, 0), id=id)


async def task(bus: Bus, name: str, tenant: str = "acme") -> TaskView:
    query = GetTask(tenant=tenant, at=NOON, task=name)
    return TaskView.model_validate((await bus.commands.send("relay", "-", query)).body)


async def tasks(bus: Bus) -> TaskPage:
    query = ListTasks(tenant="acme", at=NOON, limit=100)
    return TaskPage.model_validate((await bus.commands.send("relay", "-", query)).body)


@asynccontextmanager
async def relay_process(url: str, data_dir: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A relay of its own, as `trunkline serve relay` starts it; killed at the end."""
    environment = {**os.environ, "TRUNKLINE_NATS_URL": url, "TRUNKLINE_DATA_DIR": str(data_dir)}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "trunkline_relay", env=environment)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until_ready(bus: Bus) -> None:
    async with asyncio.timeout(20):
        while not await bus.commands.ping("relay", timeout=0.5):
            pass


async def test_a_task_is_read_as_it_was_written_and_by_its_tenant_only(server: NatsServer) -> None:
    async with running(settings(server)), talking(server.url) as bus:
        await store(bus, life(1, "t1"))

        assert (await task(bus, "t1")).status is TaskStatus.SUCCEEDED
        assert await task(bus, "omni:t1") == await task(bus, "t1")
        assert [view.task_id for view in (await tasks(bus)).tasks] == ["t1"]
        with pytest.raises(NotFound):
            await task(bus, "t1", tenant="umbrella")


class Pausable:
    """The real log, followed only while nobody pauses it."""

    def __init__(self, log: Log) -> None:
        self.last_seq = log.last_seq
        self._log = log
        self.running = asyncio.Event()
        self.running.set()

    async def follow(self, after: int) -> AsyncIterator[Stored]:
        async for stored in self._log.follow(after):
            await self.running.wait()
            yield stored


@asynccontextmanager
async def pausable_relay(server: NatsServer) -> AsyncIterator[Pausable]:
    async with talking(server.url) as bus:
        log = Pausable(bus.log)
        async with answering(bus, log, open_views(None, bus.epoch, 0), settings(server)):
            yield log


async def test_no_replica_answers_with_less_than_was_written_before_the_question(server: NatsServer) -> None:
    async with running(settings(server)), pausable_relay(server) as replica, talking(server.url) as bus:
        await store(bus, life(1, "t1"))
        replica.running.clear()
        await store(bus, life(1, "t2"))
        async with asyncio.TaskGroup() as group:
            reads = [group.create_task(task(bus, "t2")) for _ in range(40)]
            await asyncio.sleep(0.3)
            answered = [read for read in reads if read.done()]
            assert 0 < len(answered) < 40
            replica.running.set()
        assert {read.result().status for read in reads} == {TaskStatus.SUCCEEDED}


async def test_every_step_can_be_read_as_soon_as_it_is_stored(server: NatsServer) -> None:
    async with running(settings(server)), running(settings(server)), talking(server.url) as bus:
        ends: dict[str, int] = {}
        for entry in life(1, "t1"):
            ends[entry.subject] = end = await bus.log.append(
                entry.subject, entry.record, expect=ends.get(entry.subject, 0), id=str(entry.seq)
            )
            assert (await task(bus, "t1")).seq == end


async def test_a_replica_that_was_paused_answers_with_what_was_written_meanwhile(server: NatsServer, tmp_path: Path) -> None:
    async with talking(server.url) as bus, relay_process(server.url, tmp_path) as relay:
        await until_ready(bus)
        for number in range(4):
            relay.send_signal(signal.SIGSTOP)
            await store(bus, life(1, f"t{number}a"))
            query = asyncio.create_task(task(bus, f"t{number}b"))
            await store(bus, life(1, f"t{number}b"))
            relay.send_signal(signal.SIGCONT)

            assert (await task(bus, f"t{number}b")).status is TaskStatus.SUCCEEDED
            assert (await task(bus, f"t{number}a")).status is TaskStatus.SUCCEEDED
            await query


async def test_two_hundred_reads_at_once_ask_the_log_a_few_times_only(server: NatsServer) -> None:
    async with running(settings(server)), talking(server.url) as bus, await nats.connect(server.url) as spy:
        await store(bus, life(1, "t1"))
        asked = 0

        async def count(_: Msg) -> None:
            nonlocal asked
            asked += 1

        await spy.subscribe("$JS.API.STREAM.INFO.EVENTS", cb=count)
        await spy.flush()
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            reads = [group.create_task(task(bus, "t1")) for _ in range(200)]
        took = time.monotonic() - began
        await spy.flush()

        assert {read.result().seq for read in reads} == {8}
        assert 1 <= asked <= min(took / ASK_EVERY + 3, 150)


async def test_a_relay_that_was_killed_goes_on_and_one_that_begins_anew_has_the_same_views(server: NatsServer, tmp_path: Path) -> None:
    async with talking(server.url) as bus:
        async with relay_process(server.url, tmp_path) as relay:
            await until_ready(bus)
            await store(bus, life(1, "t0"))
            assert (await tasks(bus)).total == 1
            async with asyncio.TaskGroup() as group:
                for number in range(1, 30):
                    group.create_task(store(bus, life(number, f"t{number}")))
                await asyncio.sleep(0.05)
                relay.kill()
        async with relay_process(server.url, tmp_path):
            await until_ready(bus)
            went_on = await tasks(bus)
        async with relay_process(server.url, tmp_path / "elsewhere"):
            await until_ready(bus)
            anew = await tasks(bus)
    async with running(settings(server)), talking(server.url) as bus:
        in_memory = await tasks(bus)

    assert went_on == anew == in_memory
    assert went_on.total == 30
    assert {view.status for view in went_on.tasks} == {TaskStatus.SUCCEEDED}


async def test_a_new_log_under_an_old_file_of_views_shows_nothing_of_the_old(server: NatsServer, tmp_path: Path) -> None:
    async with running(settings(server, tmp_path)), talking(server.url) as bus:
        await store(bus, life(1, "t1"))
        assert (await tasks(bus)).total == 1
    with nats_server() as other:
        async with running(settings(other, tmp_path)), talking(other.url) as bus:
            assert (await tasks(bus)).total == 0
            await store(bus, life(1, "t2"))
            assert [view.task_id for view in (await tasks(bus)).tasks] == ["t2"]


async def test_reads_come_back_by_themselves_after_the_server_was_killed(server: NatsServer) -> None:
    async with running(settings(server)), talking(server.url) as bus:
        await store(bus, life(1, "t1"))
        server.kill()
        with pytest.raises(Unavailable):
            await bus.commands.send("relay", "-", GetTask(tenant="acme", at=NOON, task="t1"), timeout=0.3)
        server.start()
        async with asyncio.timeout(20):
            await store(bus, life(1, "t2"))
        assert (await task(bus, "t2")).status is TaskStatus.SUCCEEDED
        assert (await tasks(bus)).total == 2
