"""The relay on a real nats-server: no stale read on any replica, few questions to the log, the same views after any death."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.msg import Msg
from pydantic import JsonValue

from tests.unit.relay.timelines import Line, asked, decided, held, life, line, said, submitted
from trunkline.bus import Bus, BusSettings, Log, Stored, connect
from trunkline.contracts.approval import Verdict
from trunkline.contracts.approval_views import ApprovalPage, ApprovalView, GetApproval, ListApprovals
from trunkline.contracts.errors import Invalid, NotFound, Unavailable
from trunkline.contracts.message import Command
from trunkline.contracts.task import TaskAssigned, TaskStatus, TaskSucceeded
from trunkline.contracts.views import (
    CountTasks,
    GetTask,
    GetTrace,
    ListTasks,
    TaskCounts,
    TaskPage,
    TaskSort,
    TaskView,
    TraceView,
)
from trunkline.testing import warm
from trunkline.testing.nats import NatsServer, nats_server
from trunkline.testing.warm import Forked
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


async def store(bus: Bus, lines: list[Line], ends: dict[str, int] | None = None) -> dict[str, int]:
    """Append every part of a life in its order; `ends` is where each part ends already, and as it is given back afterwards."""
    ends = dict(ends or {})
    for entry in lines:
        id = f"{entry.subject}-{entry.seq}"
        ends[entry.subject] = await bus.log.append(entry.subject, entry.record, expect=ends.get(entry.subject, 0), id=id)
    return ends


async def ask(bus: Bus, query: Command) -> dict[str, JsonValue]:
    return (await bus.commands.send("relay", "-", query)).body


async def task(bus: Bus, name: str, tenant: str = "acme") -> TaskView:
    return TaskView.model_validate(await ask(bus, GetTask(tenant=tenant, at=NOON, task=name)))


async def tasks(bus: Bus, tenant: str = "acme", **query: Any) -> TaskPage:
    return TaskPage.model_validate(await ask(bus, ListTasks.model_validate({"tenant": tenant, "at": NOON, "limit": 100, **query})))


async def approval(bus: Bus, of: str, name: str = "release", tenant: str = "acme") -> ApprovalView:
    return ApprovalView.model_validate(await ask(bus, GetApproval(tenant=tenant, at=NOON, task_id=of, approval_id=name)))


async def approvals(bus: Bus, tenant: str = "acme", **query: Any) -> ApprovalPage:
    return ApprovalPage.model_validate(await ask(bus, ListApprovals.model_validate({"tenant": tenant, "at": NOON, **query})))


async def trace(bus: Bus, id: str, tenant: str = "acme") -> TraceView:
    return TraceView.model_validate(await ask(bus, GetTrace(tenant=tenant, at=NOON, trace_id=id)))


async def counts(bus: Bus) -> TaskCounts:
    return TaskCounts.model_validate(await ask(bus, CountTasks(tenant="-", at=NOON)))


@asynccontextmanager
async def relay_process(url: str, data_dir: Path) -> AsyncIterator[Forked]:
    """A relay of its own, as `trunkline serve relay` starts it; killed at the end."""
    environment = {**os.environ, "TRUNKLINE_NATS_URL": url, "TRUNKLINE_DATA_DIR": str(data_dir)}
    with data_dir.with_suffix(".log").open("ab") as log:
        process = warm.start(["trunkline_relay"], environment, log)
    try:
        yield process
    finally:
        process.kill()
        await asyncio.to_thread(process.wait, 10)


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
            async with asyncio.timeout(10):
                while not any(read.done() for read in reads):  # noqa: ASYNC110 - whoever is first
                    await asyncio.sleep(0.02)
            await asyncio.sleep(0.3)
            assert not all(read.done() for read in reads)
            replica.running.set()
        assert {read.result().status for read in reads} == {TaskStatus.SUCCEEDED}


async def test_no_question_of_any_kind_is_answered_from_before_it_was_asked(server: NatsServer) -> None:
    asked: dict[str, Command] = {
        "get": GetTask(tenant="acme", at=NOON, task="t2"), "list": ListTasks(tenant="acme", at=NOON, trace_id="tr2"),
        "count": CountTasks(tenant="-", at=NOON), "trace": GetTrace(tenant="acme", at=NOON, trace_id="tr2"),
        "approval": GetApproval(tenant="acme", at=NOON, task_id="t1", approval_id="release"),
        "approvals": ListApprovals(tenant="acme", at=NOON, open=False),
    }  # fmt: skip
    async with running(settings(server)), pausable_relay(server) as replica, talking(server.url) as bus:
        ends = await store(bus, held(1, "t1"))
        replica.running.clear()
        news = [decided(3, "t1", Verdict.APPROVED), line(4, "t2", "task", submitted(trace="tr2")), said(5, "tr2")]
        await store(bus, news, ends)
        async with asyncio.TaskGroup() as group:
            reads = [(kind, group.create_task(ask(bus, query))) for kind, query in asked.items() for _ in range(24)]
            await asyncio.sleep(0.3)
            unanswered = {kind for kind, read in reads if not read.done()}
            replica.running.set()

    assert unanswered == set(asked)
    assert {(kind, gist(read.result())) for kind, read in reads} == {
        ("get", ("submitted",)), ("list", (1, 1)), ("count", (2, 2)), ("trace", (1, 1)), ("approval", ("approved",)), ("approvals", (1, 1)),
    }  # fmt: skip


def gist(answer: dict[str, JsonValue]) -> tuple[object, ...]:
    """What of an answer tells whether it knows of the news."""
    if "assignment" in answer:
        return (TaskView.model_validate(answer).status.value,)
    told = (answer.get(key) for key in ("status", "pending", "tasks", "events", "approvals", "total"))
    return tuple(len(one) if isinstance(one, list) else one for one in told if one is not None)


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


async def test_every_question_knows_of_every_write_before_it_on_two_replicas(server: NatsServer) -> None:
    async with running(settings(server)), running(settings(server)), talking(server.url) as bus:
        ends: dict[str, int] = {}
        for number in range(6):
            name, at = f"t{number}", 10 * number
            ends = await store(bus, held(at, name), ends)
            assert await counts(bus) == TaskCounts(pending=1, processing=0, total=number + 1)
            assert (await approval(bus, name)).status == "pending"
            assert [view.task_id for view in (await approvals(bus)).approvals] == [name]
            assert [view.task_id for view in (await tasks(bus, statuses=["assigned"])).tasks] == [name]
            ends = await store(bus, [decided(at + 2, name, Verdict.APPROVED)], ends)
            assert (await approvals(bus)).total == 0
            assert ((await approval(bus, name)).status, (await task(bus, name)).approval_status) == ("approved", "approved")
            ends = await store(bus, [said(at + 3, "tr1"), line(at + 4, name, "task", TaskSucceeded())], ends)
            assert len((await trace(bus, "tr1")).events) == number + 1
            assert await counts(bus) == TaskCounts(pending=0, processing=0, total=number + 1)


async def test_what_is_not_there_is_refused_by_its_name(server: NatsServer) -> None:
    async with running(settings(server)), talking(server.url) as bus:
        await store(bus, held(1, "t1"))
        refusals = {}
        for query in (
            GetTask(tenant="acme", at=NOON, task="t9"), GetApproval(tenant="acme", at=NOON, task_id="t1", approval_id="call-1"),
            GetTrace(tenant="acme", at=NOON, trace_id="tr1"), ListTasks(tenant="acme", at=NOON, after="open.1.t1.release"),
            ListApprovals(tenant="acme", at=NOON, after="newest.1.t1"), ListTasks(tenant="acme", at=NOON, limit=201),
        ):  # fmt: skip
            with pytest.raises((NotFound, Invalid)) as refusal:
                await ask(bus, query)
            refusals[refusal.value.code] = refusal.value.kind
        assert refusals == {
            "TASK_NOT_FOUND": "not_found", "APPROVAL_NOT_FOUND": "not_found", "TRACE_NOT_FOUND": "not_found", "BAD_CURSOR": "invalid",
            "BAD_PAGE": "invalid",
        }  # fmt: skip


async def test_no_answer_shows_anything_of_another_tenant(server: NatsServer) -> None:
    canary = submitted("canary", aliases=("omni:canary",), trace="canary", type="canary", source="canary", parent="canary", prompt="canary")
    hers = line(1, "canary", "task", canary, TaskAssigned(pool="canary", attempt=1), tenant="umbrella")
    wishes = [asked(2, "canary", tenant="umbrella", subject="canary"), said(3, "canary", "canary", "canary", tenant="umbrella")]
    async with running(settings(server)), talking(server.url) as bus:
        await store(bus, [hers, *wishes])
        await store(bus, [line(1, "t1", "task", submitted()), asked(2, "t1"), said(3, "tr1")])

        for query in (
            GetTask(tenant="acme", at=NOON, task="canary"), GetTask(tenant="acme", at=NOON, task="omni:canary"),
            GetApproval(tenant="acme", at=NOON, task_id="canary", approval_id="release"),
            GetTrace(tenant="acme", at=NOON, trace_id="canary"),
        ):  # fmt: skip
            with pytest.raises(NotFound) as foreign:
                await ask(bus, query)
            with pytest.raises(NotFound) as missing:
                await ask(bus, query.model_copy(update={"tenant": "nobody"}))
            assert (foreign.value.code, foreign.value.message) == (missing.value.code, missing.value.message)
        for filter in ({}, {"types": ["canary"]}, {"pool": "canary"}, {"trace_id": "canary"}, {"parent": "canary"}, {"source": "canary"}):
            assert "canary" not in (await tasks(bus, **filter)).model_dump_json()
        assert "canary" not in (await approvals(bus)).model_dump_json()
        assert (await approvals(bus, task_id="canary")).total == 0
        assert [view.task_id for view in (await tasks(bus, "umbrella", trace_id="canary")).tasks] == ["canary"]
        assert (await approvals(bus, "umbrella")).total == len((await trace(bus, "canary", "umbrella")).events) == 1


@pytest.mark.parametrize("sort", [TaskSort.NEWEST, TaskSort.PRIORITY])
async def test_page_by_page_every_task_is_met_once_while_new_ones_come(server: NatsServer, sort: TaskSort) -> None:
    def one(seq: int) -> Line:
        return line(seq, f"t{seq}", "task", submitted(priority=f"P{seq % 4}"))

    async with running(settings(server)), running(settings(server)), talking(server.url) as bus:
        await store(bus, [one(seq) for seq in range(1, 41)])
        met, after, last = list[str](), None, 40
        while last < 80:
            page = await tasks(bus, sort=sort, limit=7, after=after)
            met += [view.task_id for view in page.tasks]
            if (after := page.next) is None:
                break
            last += 1
            await store(bus, [one(last)])

        assert after is None
        assert len(met) == len(set(met))
        assert {f"t{seq}" for seq in range(1, 41)} <= set(met)


async def test_views_built_anew_give_the_same_answers(server: NatsServer, tmp_path: Path) -> None:
    async def answers(bus: Bus) -> tuple[object, ...]:
        lists = [await tasks(bus, sort=sort, statuses=["assigned", "succeeded"]) for sort in TaskSort]
        waiting = [await approvals(bus, open=open) for open in (True, False)]
        return (*lists, *waiting, await trace(bus, "tr1"), await counts(bus), await approval(bus, "t7"), await task(bus, "t7"))

    async with talking(server.url) as bus:
        async with running(settings(server, tmp_path)):
            for number in range(12):
                of_one = [line(number, f"s{number}", "task", submitted(trace="tr1")), said(number, "tr1", f"s{number}")]
                ends = await store(bus, [*held(3 * number, f"t{number}"), *of_one])
                await store(bus, [decided(50, f"t{number}", Verdict.APPROVED)] if number % 3 else [], ends)
            await store(bus, life(60, "t90"))
            at_first = await answers(bus)
        async with running(settings(server, tmp_path)):
            went_on = await answers(bus)
        async with running(settings(server, tmp_path / "elsewhere")):
            anew = await answers(bus)
    assert at_first == went_on == anew
