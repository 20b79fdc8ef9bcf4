"""Tasks that begin later, schedules, and places where only so many may be worked on at once: the router on a real nats-server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.flows.test_routing import OURS, Client, routed, talking
from trunkline.bus import WorkItem
from trunkline.contracts import subjects
from trunkline.contracts.errors import Conflict, Invalid, NotFound
from trunkline.contracts.ids import TenantId
from trunkline.contracts.record import Record
from trunkline.contracts.room import RoomEntered, RoomLeft
from trunkline.contracts.run import RunStopped
from trunkline.contracts.schedule import (
    ChangeSchedule,
    CreateSchedule,
    DeleteSchedule,
    GetSchedule,
    ListSchedules,
    Missed,
    PauseSchedule,
    Recurrence,
    Schedule,
    SchedulePage,
    task_of,
)
from trunkline.contracts.task import (
    Assignment,
    TaskAssigned,
    TaskCancelled,
    TaskSubmitted,
)
from trunkline.contracts.task_waiting import TaskAwaitsPlace, TaskDelayed, TaskPlaceGiven
from trunkline.contracts.trace import trace_of
from trunkline.runtime.clock import now
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_router.adapters.schedule_shelf import ScheduleShelf
from trunkline_router.adapters.timers import BusTimers
from trunkline_router.ports import DueRoom, DueSchedule

pytestmark = pytest.mark.flow

ROUTER = """
import asyncio, json, sys
from trunkline_router.settings import Settings
from trunkline_router.wiring import running

async def main() -> None:
    async with running(Settings.model_validate(json.loads(sys.argv[1]))):
        print("ready", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""
HOURLY = Recurrence(cron="0 * * * *", time_zone="Europe/Berlin")
ONE = {"wip_repositories": {"*": 1}, **OURS}


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server() as one:
        yield one


async def released(client: Client, number: int, pool: str = "dev") -> list[str]:
    """The next so many tasks that hands are offered."""
    found: list[str] = []
    enough = asyncio.Event()

    async def carry(item: WorkItem, _: int) -> None:
        found.append(item.task)
        if len(found) >= number:
            enough.set()

    async with asyncio.TaskGroup() as group:
        taking = group.create_task(client.bus.work.take(pool, 1, carry))
        async with asyncio.timeout(15):
            await enough.wait()
        taking.cancel()
    return found


async def test_a_task_for_later_is_released_then_and_one_that_is_cancelled_before_never(server: NatsServer) -> None:
    async with routed(server, **OURS) as client:
        begins = now() + timedelta(seconds=0.7)
        await client.submit("later", start_at=begins, repo="acme/calc")
        await client.submit("never", start_at=begins, repo="acme/calc")
        await client.cancel("never")
        assert [type(fact) for fact in await client.facts("later")] == [TaskSubmitted, TaskDelayed]
        assert await released(client, 1) == ["later"]
        assert now() >= begins
        assert [type(fact) for fact in await client.facts("later")][2:] == [TaskAssigned]
        assert [type(fact) for fact in await client.facts("never")] == [TaskSubmitted, TaskDelayed, TaskCancelled]


class Desk:
    """Schedules, as an edge asks for them."""

    def __init__(self, client: Client) -> None:
        self.bus, self.tenant = client.bus, client.tenant

    async def asked(self, kind: type[Any], id: str = "-", **fields: Any) -> Any:
        wish = kind(tenant=self.tenant, at=now(), **({"schedule_id": id} if id != "-" else {}), **fields)
        return (await self.bus.commands.send("router", id, wish)).body

    async def make(self, id: str, when: Recurrence, **fields: Any) -> Schedule:
        assignment = Assignment(type="bugfix", repo="acme/calc", max_retries=0)
        return Schedule.model_validate(await self.asked(CreateSchedule, id, when=when, assignment=assignment, by="ann", **fields))

    async def one(self, id: str) -> Schedule:
        return Schedule.model_validate(await self.asked(GetSchedule, id))

    async def all(self) -> list[str]:
        return [one.schedule_id for one in SchedulePage.model_validate(await self.asked(ListSchedules)).schedules]

    async def moved_to(self, id: str, moment: datetime, shelf: ScheduleShelf) -> None:
        """As if it had been due at this moment, and the router away since the one before."""
        schedule, seq = await shelf.load(self.tenant, id)
        assert schedule
        await shelf.store(schedule.model_copy(update={"next_at": moment}), seq)

    async def until_next(self, id: str) -> Schedule:
        """How it stands once it waits for a moment to come."""
        for _ in range(100):
            schedule = await self.one(id)
            if schedule.next_at and schedule.next_at > now():
                return schedule
            await asyncio.sleep(0.05)
        raise AssertionError(f"its alarm led to nothing: {schedule}")


@asynccontextmanager
async def shelf_of(client: Client) -> AsyncIterator[ScheduleShelf]:
    await (shelf := ScheduleShelf(client.bus.ledger("SCHEDULES"))).start()
    yield shelf


async def test_a_schedule_is_made_listed_paused_and_deleted(server: NatsServer) -> None:
    async with routed(server, schedules_per_tenant=2, **OURS) as client:
        desk = Desk(client)
        made = await desk.make("s1", HOURLY)
        assert made.next_at
        assert (made.next_at.minute, made.next_at > now()) == (0, True)
        assert await desk.make("s1", HOURLY) == made, "the same wish again is the same schedule"
        await desk.make("s2", Recurrence(every_s=3600), missed=Missed.ONCE)
        assert await desk.all() == ["s1", "s2"]
        with pytest.raises(Conflict) as refusal:
            await desk.make("s3", HOURLY)
        assert refusal.value.code == "TOO_MANY_SCHEDULES"
        await desk.asked(DeleteSchedule, "s2")
        with pytest.raises(Invalid):
            await desk.make("bad", Recurrence(cron="often"))
        assert Schedule.model_validate(await desk.asked(PauseSchedule, "s1", paused=True)).next_at is None
        assert Schedule.model_validate(await desk.asked(PauseSchedule, "s1", paused=False)).next_at is not None
        await desk.asked(DeleteSchedule, "s1")
        assert await desk.all() == []
        with pytest.raises(NotFound):
            await desk.one("s1")


async def test_a_record_alone_is_enough_for_its_moment_to_come_and_no_late_alarm_takes_its_place(server: NatsServer) -> None:
    """Whoever stored the record was killed right after; a router that was late sets an alarm of the record before."""
    async with routed(server, **OURS) as client, shelf_of(client) as shelf:
        desk = Desk(client)
        await desk.make("alone", HOURLY)
        moment = now() + timedelta(seconds=0.7)
        _, earlier = await shelf.load("acme", "alone")
        await desk.moved_to("alone", moment, shelf)
        await heard(client, (await shelf.load("acme", "alone"))[1])
        late = DueSchedule(tenant="acme", schedule="alone", at=now() + timedelta(hours=2))
        await BusTimers(client.bus.timers, now).schedule(late, earlier)
        assert await released(client, 1) == [task_of("acme", "alone", moment)]
        await desk.asked(DeleteSchedule, "alone")


async def heard(client: Client, seq: int) -> None:
    """Returns when the alarm of that record is set."""
    js = client.bus.client.jetstream()
    for _ in range(200):
        if (await js.consumer_info("SCHEDULES", "router-schedules")).ack_floor.stream_seq >= seq:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("its record was not heard")


async def test_a_schedule_is_changed_and_its_tasks_are_then_of_whoever_changed_it(server: NatsServer) -> None:
    async with routed(server, **OURS) as client, shelf_of(client) as shelf:
        desk = Desk(client)
        await desk.make("moves", HOURLY)
        changed, repeated = [
            Schedule.model_validate(await desk.asked(ChangeSchedule, "moves", cron="30 6 * * *", by=by)) for by in ("bob", "eve")
        ]
        assert (changed.when.cron, changed.when.time_zone) == ("30 6 * * *", "Europe/Berlin")
        assert changed.next_at and changed.next_at.minute == 30
        assert repeated == changed, "nothing is otherwise"
        with pytest.raises(Invalid) as refusal:
            await desk.asked(ChangeSchedule, "moves", assignment=Assignment(type="nonsense"), by="bob")
        assert refusal.value.code == "UNKNOWN_TYPE"
        await desk.moved_to("moves", now() - timedelta(seconds=1), shelf)
        last = (await desk.until_next("moves")).last_task_id
        submitted, *_ = await client.until(last or "", TaskAssigned)
        assert isinstance(submitted, TaskSubmitted)
        assert submitted.submitted_by == "bob"
        assert await released(client, 1) == [last]
        await desk.asked(DeleteSchedule, "moves")


async def test_every_moment_has_one_task_though_two_routers_hear_its_alarm_and_both_were_away(server: NatsServer) -> None:
    missed = (now() - timedelta(hours=5)).replace(minute=0, second=0, microsecond=0)
    async with routed(server, **OURS) as client:
        await Desk(client).make("nightly", HOURLY, missed=Missed.ONCE)
        await Desk(client).make("skips", HOURLY)
    async with talking(server) as client, shelf_of(client) as shelf:
        for id in ("nightly", "skips"):
            await Desk(client).moved_to(id, missed, shelf)
    async with routed(server, **OURS) as client, routed(server, **OURS):
        desk = Desk(client)
        task = task_of("acme", "nightly", missed)
        assert (await desk.until_next("nightly")).last_task_id == task
        submitted, *_ = await client.until(task, TaskAssigned)
        assert isinstance(submitted, TaskSubmitted)
        assert (submitted.submitted_by, submitted.assignment.labels) == ("ann", {"schedule": "nightly"})
        assert submitted.trace_id == f"trace_{task}"
        await told(client, submitted.trace_id, "due-router-schedule")  # each moment begins a trace of its own
        skipped = await desk.until_next("skips")
        assert (skipped.last_task_id, skipped.problem) == (None, "it was missed")
        assert await released(client, 1) == [task]
        for id in ("nightly", "skips"):
            await desk.asked(DeleteSchedule, id)


async def told(client: Client, trace_id: str, name: str) -> None:
    """Returns when a span of this name is."""
    async with asyncio.timeout(10):
        while all(span.name != name for span in await client.bus.traces.spans(TenantId(client.tenant), trace_of(trace_id), 100)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def ended(client: Client, task: str) -> None:
    """As its run would say it."""
    fact = RunStopped(attempt=1)
    await client.bus.log.append(client.subject(task, "run"), Record(at=now(), facts=(fact,)), expect=0, id=f"stopped-{task}")
    await client.until(task, TaskCancelled)


async def test_the_second_task_on_a_repository_waits_for_the_end_of_the_first(server: NatsServer) -> None:
    async with routed(server, **ONE) as client:
        client.tenant = "places"
        await client.submit("w1", repo="Acme/Calc")
        await client.until("w1", TaskAssigned)
        assert await released(client, 1) == ["w1"]
        await client.submit("w2", repo="acme/calc")
        await client.submit("w3", repo="acme/other")
        assert TaskAwaitsPlace(full=("repository",)) in await client.until("w2", TaskAwaitsPlace)
        assert await released(client, 1) == ["w3"]
        await client.cancel("w1")
        await ended(client, "w1")
        await client.until("w2", TaskPlaceGiven)
        assert await released(client, 1) == ["w2"]


async def test_a_licence_of_an_agent_is_held_by_so_many_tasks_and_the_next_waits_for_one_of_them(server: NatsServer) -> None:
    """Counted by the agent that a task names, else by its pool."""
    async with routed(server, wip_agents={"codex": 1, "dev": 1}, **OURS) as client:
        client.tenant = "licences"
        await client.submit("a1", agent="codex", repo="acme/calc")
        await client.submit("a2", agent="codex", repo="acme/other")
        assert TaskAwaitsPlace(full=("agent",)) in await client.until("a2", TaskAwaitsPlace)
        await client.submit("a3", agent="claude", repo="acme/calc")
        await client.submit("a4", repo="acme/calc")
        await client.submit("a5", repo="acme/other")
        assert TaskAwaitsPlace(full=("agent",)) in await client.until("a5", TaskAwaitsPlace)
        assert sorted(await released(client, 3)) == ["a1", "a3", "a4"]
        await client.cancel("a1")
        await ended(client, "a1")
        await client.until("a2", TaskPlaceGiven)
        assert await released(client, 1) == ["a2"]


async def test_tasks_that_wait_begin_when_the_caps_are_lifted(server: NatsServer) -> None:
    async with routed(server, **ONE) as client:
        client.tenant = "lifted"
        await client.submit("l1", repo="acme/calc")
        assert await released(client, 1) == ["l1"]
        await client.submit("l2", repo="acme/calc")
        await client.until("l2", TaskAwaitsPlace)
    async with routed(server, **OURS) as client:
        client.tenant = "lifted"
        await client.bus.timers.set("place", "lifted", now(), ("router", "place"), DueRoom(tenant="lifted"))
        await client.until("l2", TaskPlaceGiven)
        assert await released(client, 1) == ["l2"]


async def most_inside(client: Client) -> int:
    """How many had a place at once, by the log."""
    loaded = await client.bus.log.load(subjects.room(TenantId(client.tenant)))
    inside, most = set[str](), 0
    for fact in (fact for stored in loaded.records for fact in stored.record.facts):
        if isinstance(fact, RoomEntered):
            inside.add(fact.sitter.task)
        elif isinstance(fact, RoomLeft):
            inside.discard(fact.task)
        most = max(most, len(inside))
    return most


async def begun(settings: str) -> asyncio.subprocess.Process:
    router = await asyncio.create_subprocess_exec(sys.executable, "-c", ROUTER, settings, stdout=asyncio.subprocess.PIPE)
    assert router.stdout
    async with asyncio.timeout(20):
        assert await router.stdout.readline() == b"ready\n"
    return router


@pytest.mark.kill
async def test_no_cap_is_passed_and_no_place_is_lost_though_a_router_is_killed(server: NatsServer) -> None:
    route = {"bugfix": {"pool": "crowd", "executor": "bus"}}
    settings = json.dumps({"nats_url": server.url, "wip_tenants": {"crowd": 3}, "routes": route})
    routers = list(await asyncio.gather(begun(settings), begun(settings)))
    try:
        async with talking(server, "crowd") as client:
            async with asyncio.TaskGroup() as group:
                for number in range(12):
                    group.create_task(client.submit(f"k{number}"))
            carried: list[str] = []
            for wave in range(4):
                carried += (those := await released(client, 3, "crowd"))
                for place, task in enumerate(those):
                    await client.cancel(task)
                    if (wave, place) == (1, 1):
                        os.kill(routers[0].pid, signal.SIGKILL)
            assert sorted(carried) == sorted(f"k{number}" for number in range(12)), "each had its place, and once"
            assert await most_inside(client) == 3
    finally:
        for router in routers:
            if router.returncode is None:
                router.kill()
            await router.wait()
