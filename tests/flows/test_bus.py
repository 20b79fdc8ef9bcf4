"""The bus on a real nats-server: fences, repeats, timelines without gap or repeat, work that comes back, timers, dead letters."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from trunkline.bus import Bus, BusSettings, How, LeaveAlone, Raced, Stored, WorkItem, connect
from trunkline.bus.streams import EVENTS
from trunkline.contracts import subjects
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import Broken, Conflict, NotFound, Unavailable
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Accepted
from trunkline.contracts.record import Event, Gap, Record
from trunkline.contracts.task import CancelTask, EventPublished, TaskAssigned, TaskStarted
from trunkline.runtime.clock import now
from trunkline.testing.nats import NatsServer, nats_server

TENANT, TASK = TenantId("acme"), TaskId("t1")
SUBJECT = subjects.event(TENANT, TASK, "task")
ITEM = WorkItem(tenant="acme", task="t1", attempt=1, pool="dev", priority="P2")
CANCEL = CancelTask(tenant="acme", at=now(), task_id="t1", by="ann")

pytestmark = pytest.mark.flow


@pytest.fixture
async def server() -> AsyncIterator[NatsServer]:
    with nats_server() as server:
        yield server


@pytest.fixture
async def bus(server: NatsServer) -> AsyncIterator[Bus]:
    async with connect(BusSettings(nats_url=server.url), "test") as bus:
        yield bus


def record(*numbers: int) -> Record:
    return Record(at=now(), facts=tuple(TaskStarted(attempt=number) for number in numbers))


async def fill(bus: Bus, first: int, last: int) -> None:
    expect = (await bus.log.load(SUBJECT)).seq
    for number in range(first, last + 1):
        expect = await bus.log.append(SUBJECT, record(number), expect=expect, id=f"n{number}")


async def attempts(bus: Bus, after: Cursor | None, until: int, within: float = 20) -> list[int]:
    seen: list[int] = []
    async with asyncio.timeout(within):
        async for event in bus.live.follow(TENANT, TASK, after):
            assert isinstance(event, Event)
            assert isinstance(event.fact, TaskStarted)
            seen.append(event.fact.attempt)
            if event.fact.attempt == until:
                return seen
    raise AssertionError


async def test_an_append_behind_another_writer_is_refused(bus: Bus) -> None:
    assert await bus.log.append(SUBJECT, record(1), expect=0, id="a") == 1
    with pytest.raises(Raced):
        await bus.log.append(SUBJECT, record(2), expect=0, id="b")
    assert [stored.record.facts for stored in (await bus.log.load(SUBJECT)).records] == [record(1).facts]


async def test_an_append_repeated_after_a_lost_answer_is_the_same_append(bus: Bus) -> None:
    first = await bus.log.append(SUBJECT, record(1), expect=0, id="a")
    await bus.log.append(SUBJECT, record(2), expect=first, id="b")
    assert await bus.log.append(SUBJECT, record(1), expect=0, id="a") == first
    assert len((await bus.log.load(SUBJECT)).records) == 2


async def test_the_facts_of_one_decision_have_cursors_of_their_own_and_resume_between_them(bus: Bus) -> None:
    seq = await bus.log.append(SUBJECT, record(1, 2, 3), expect=0, id="a")
    assert str(Cursor(bus.epoch, seq, 1)) == f"{bus.epoch}-{seq}.1"
    assert await attempts(bus, Cursor(bus.epoch, seq, 0), until=3) == [2, 3]
    assert await attempts(bus, None, until=3) == [1, 2, 3]


async def test_a_follower_sees_history_and_then_what_comes_without_gap_or_repeat(bus: Bus, server: NatsServer) -> None:
    await fill(bus, 1, 300)
    async with connect(BusSettings(nats_url=server.url), "writer") as writer, asyncio.TaskGroup() as group:
        following = group.create_task(attempts(bus, None, until=600))
        await fill(writer, 301, 600)
    assert following.result() == list(range(1, 601))


async def test_a_page_of_large_events_holds_fewer_of_them_and_the_pages_together_hold_all(bus: Bus) -> None:
    said = EventPublished(event_type="log.dump", by="ann", payload={"text": "x" * 250_000})
    for number in range(40):
        await bus.log.say(subjects.event(TENANT, TASK, subjects.MESSAGE), Record(at=now(), facts=(said,)), id=f"e{number}")
    seen: list[Cursor] = []
    more = True
    while more:
        items, more = await bus.live.page(TENANT, TASK, seen[-1] if seen else None, 1000)
        assert 0 < len(items) <= 10, "a gateway that gathers them all at once can be made to run out of memory"
        seen += [item.cursor for item in items if isinstance(item, Event)]
    assert [cursor.seq for cursor in seen] == list(range(1, 41))


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 100])
async def test_pages_of_any_length_hold_every_fact_once_also_those_of_one_decision(bus: Bus, limit: int) -> None:
    await bus.log.append(SUBJECT, record(1, 2, 3), expect=0, id="a")
    await bus.log.append(SUBJECT, record(4, 5), expect=1, id="b")
    seen: list[int] = []
    after, more = None, True
    while more:
        items, more = await bus.live.page(TENANT, TASK, after, limit)
        assert len(items) <= limit
        for item in items:
            assert isinstance(item, Event)
            assert isinstance(item.fact, TaskStarted)
            seen.append(item.fact.attempt)
            after = item.cursor
    assert seen == [1, 2, 3, 4, 5]


async def test_a_follower_that_does_not_read_loses_nothing(bus: Bus) -> None:
    follower = bus.live.follow(TENANT, TASK, None)
    await fill(bus, 1, 1)
    first = await anext(follower)
    await fill(bus, 2, 700)  # more than a mailbox holds
    rest = [await anext(follower) for _ in range(699)]
    numbers = [event.fact.attempt for event in (first, *rest) if isinstance(event, Event) and isinstance(event.fact, TaskStarted)]
    assert numbers == list(range(1, 701))


async def test_followers_and_writers_live_through_the_death_of_the_server(bus: Bus, server: NatsServer) -> None:
    async with asyncio.TaskGroup() as group:
        following = group.create_task(attempts(bus, None, until=60))
        writing = group.create_task(fill(bus, 1, 60))
        for _ in range(2):
            await asyncio.sleep(0.03)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
        await writing
    assert following.result() == list(range(1, 61))


async def test_a_cursor_of_another_life_of_the_log_is_told_apart(bus: Bus) -> None:
    await fill(bus, 1, 2)
    follower = bus.live.follow(TENANT, TASK, Cursor("0ther", 1))
    gap = await anext(follower)
    assert isinstance(gap, Gap)
    first = await anext(follower)
    assert isinstance(first, Event)
    assert first.cursor == Cursor(bus.epoch, 1)


async def test_a_cursor_beyond_the_end_of_the_log_is_told_apart(bus: Bus) -> None:
    await fill(bus, 1, 2)
    assert isinstance(await anext(bus.live.follow(TENANT, TASK, Cursor(bus.epoch, 99))), Gap)


async def test_two_services_that_start_together_agree_on_one_log(server: NatsServer) -> None:
    async def epoch(name: str) -> str:
        async with connect(BusSettings(nats_url=server.url), name) as bus:
            return bus.epoch

    async with asyncio.TaskGroup() as group:
        starts = [group.create_task(epoch(f"s{n}")) for n in range(5)]
    assert len({start.result() for start in starts}) == 1


async def test_a_command_is_answered_or_refused_by_its_owner(bus: Bus) -> None:
    async def answer(wish: CancelTask) -> Accepted:
        if wish.by == "bob":
            raise Conflict("the task is over", code="TASK_OVER", status="failed")
        return Accepted(seq=7)

    bus.inlet.command("router", CancelTask, answer)
    await bus.inlet.start("router")
    assert (await bus.commands.send("router", "t1", CANCEL)).seq == 7
    with pytest.raises(Conflict) as refused:
        await bus.commands.send("router", "t1", CANCEL.model_copy(update={"by": "bob"}))
    assert (refused.value.code, refused.value.details) == ("TASK_OVER", {"status": "failed"})
    assert await bus.commands.ping("router")


async def test_a_command_that_nobody_owns_is_unavailable_within_its_deadline(bus: Bus) -> None:
    with pytest.raises(Unavailable):
        async with asyncio.timeout(10):
            await bus.commands.send("router", "t1", CANCEL, timeout=0.5)


@pytest.mark.parametrize("stores", [True, False])
async def test_a_command_that_takes_too_long_is_told_so_and_one_that_stores_makes_its_service_unwell(bus: Bus, stores: bool) -> None:
    async def answer(_: CancelTask) -> Accepted:
        await asyncio.sleep(30)
        return Accepted(seq=1)

    bus.inlet.command("router", CancelTask, answer, stores=stores)
    await bus.inlet.start("router")

    with pytest.raises(Unavailable) as late:
        await bus.commands.send("router", "t1", CANCEL, timeout=1)

    assert late.value.code == "NOT_IN_TIME"
    assert await bus.commands.ping("router", timeout=10) is not stores


async def test_an_answer_that_does_not_fit_into_a_message_is_a_refusal_at_once_and_the_command_is_not_carried_out_again(bus: Bus) -> None:
    done: list[CancelTask] = []

    async def talkative(command: CancelTask) -> Accepted:
        done.append(command)
        return Accepted(seq=1, body={"text": "x" * (3 << 20)})

    bus.inlet.command("router", CancelTask, talkative)
    await bus.inlet.start("router")
    with pytest.raises(Broken) as refusal:
        await bus.commands.send("router", "t1", CANCEL, timeout=5)
    assert (refusal.value.code, len(done)) == ("ANSWER_TOO_LARGE", 1)


async def test_a_command_waits_for_an_owner_that_is_just_starting(bus: Bus, server: NatsServer) -> None:
    async def answer(_: CancelTask) -> Accepted:
        return Accepted(seq=1)

    async def start_later() -> None:
        await asyncio.sleep(0.5)
        bus.inlet.command("router", CancelTask, answer)
        await bus.inlet.start("router")

    async with connect(BusSettings(nats_url=server.url), "edge") as edge, asyncio.TaskGroup() as group:
        group.create_task(start_later())
        assert (await edge.commands.send("router", "t1", CANCEL, timeout=5)).seq == 1


async def test_work_is_put_once_and_comes_back_when_its_carrier_dies(bus: Bus, server: NatsServer) -> None:
    await bus.work.put(ITEM)
    await bus.work.put(ITEM)
    carried: asyncio.Queue[tuple[WorkItem, int]] = asyncio.Queue()

    async def hold(item: WorkItem, deliveries: int) -> None:
        await carried.put((item, deliveries))
        await asyncio.sleep(60)

    async with connect(BusSettings(nats_url=server.url), "first") as first:
        taking = asyncio.create_task(first.work.take("dev", 2, hold))
        assert await carried.get() == (ITEM, 1)
        await asyncio.sleep(6)  # longer than the ack wait: signs of life keep it here
        assert carried.empty()
        taking.cancel()
        await asyncio.wait({taking})

    async def carry(item: WorkItem, deliveries: int) -> None:
        await carried.put((item, deliveries))

    taking = asyncio.create_task(bus.work.take("dev", 2, carry))
    async with asyncio.timeout(4.5):  # handed back at once, not after the ack wait
        item, deliveries = await carried.get()
    assert (item, deliveries) == (ITEM, 2)
    await asyncio.sleep(0.2)
    assert carried.empty()
    taking.cancel()
    await asyncio.wait({taking})


async def test_work_that_another_owner_carries_is_left_alone(bus: Bus) -> None:
    seen: asyncio.Queue[int] = asyncio.Queue()

    async def carry(_: WorkItem, deliveries: int) -> None:
        await seen.put(deliveries)
        if deliveries == 1:
            raise LeaveAlone

    await bus.work.put(ITEM)
    taking = asyncio.create_task(bus.work.take("dev", 1, carry))
    async with asyncio.timeout(10):
        assert [await seen.get(), await seen.get()] == [1, 2]  # not acknowledged: it came again by itself
    taking.cancel()
    await asyncio.wait({taking})


async def test_a_fact_whose_handler_fails_comes_again_and_ends_as_a_dead_letter(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trunkline.bus.delivery.PAUSES", (0.01,))
    tries = 0

    async def fail(stored: Stored) -> None:
        nonlocal tries
        tries += 1
        raise NotFound("no such thing")

    bus.inlet.facts("router-tasks", "task", fail)
    await bus.inlet.start("router")
    await bus.log.append(SUBJECT, record(1), expect=0, id="a")
    letter = await _letter(bus, "dead.router-tasks.acme.1")
    assert (letter["subject"], letter["tries"], letter["seq"]) == (SUBJECT, 8, 1)
    assert "no such thing" in str(letter["reason"])
    await asyncio.sleep(0.3)
    assert tries == 8


@pytest.mark.parametrize(
    "few", [b'{"batch": 512, "max_bytes": 2000, "no_wait": true}', b'{"batch": 8, "max_bytes": 200000, "no_wait": true}']
)
async def test_what_nobody_waits_for_is_read_many_at_once_and_what_somebody_waits_for_as_it_comes(
    bus: Bus, monkeypatch: pytest.MonkeyPatch, few: bytes
) -> None:
    monkeypatch.setattr("trunkline.bus.pull.LEISURE", 0.02)
    monkeypatch.setattr("trunkline.bus.pull._ALL_THERE_IS", few)
    calm, passed, heard = True, list[str](), asyncio.Queue[int]()

    def passing(subject: str, body: bytes) -> bool:
        if calm:
            passed.append(subject)
        return calm

    async def hear(stored: Stored) -> None:
        heard.put_nowait(stored.seq)

    bus.inlet.stored(EVENTS, "relay-webhooks", hear, How(passing, calm=lambda: calm))
    await bus.inlet.start("relay")
    await fill(bus, 1, 40)
    js = bus.client.jetstream()
    async with asyncio.timeout(10):
        while not (floor := (await js.consumer_info(EVENTS, "relay-webhooks")).ack_floor) or floor.stream_seq < 40:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert (len(passed), heard.empty(), bus.watch.hears()) == (40, True, True)
    calm = False
    await fill(bus, 41, 120)
    async with asyncio.timeout(10):
        assert sorted([await heard.get() for _ in range(80)]) == list(range(41, 121))
    assert bus.watch.hears()


async def _letter(bus: Bus, subject: str) -> dict[str, object]:
    async with asyncio.timeout(10):
        while True:
            found = [stored async for stored in _stored_in(bus, "DEAD", subject)]
            if found:
                letter: dict[str, object] = json.loads(found[0])
                return letter
            await asyncio.sleep(0.05)


async def _stored_in(bus: Bus, stream: str, subject: str) -> AsyncIterator[bytes]:
    js = bus.client.jetstream()
    info = await js.stream_info(stream, subjects_filter=subject)
    if info.state.subjects:
        yield (await js.get_last_msg(stream, subject)).data or b""


async def test_a_timer_fires_once_after_its_time_and_survives_the_death_of_the_server(bus: Bus, server: NatsServer) -> None:
    fired: asyncio.Queue[WorkItem] = asyncio.Queue()
    bus.inlet.timer("router", "deadline", WorkItem, fired.put)
    await bus.inlet.start("router")
    due = now() + timedelta(seconds=1.5)
    await bus.timers.set("deadline", "t1", due, ("router", "deadline"), ITEM)
    await bus.timers.set("deadline", "t2", due, ("router", "deadline"), ITEM)
    await bus.timers.cancel("deadline", "t2")
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    async with asyncio.timeout(15):
        assert await fired.get() == ITEM
    assert now() >= due
    await asyncio.sleep(0.5)
    assert fired.empty()


async def test_a_record_of_a_newer_version_is_read_without_understanding_it(bus: Bus) -> None:
    js = bus.client.jetstream()
    body = (
        b'{"at":"2026-01-01T00:00:00Z","facts":[{"type":"task.sung","song":"x"},{"type":"task.assigned","pool":"dev","attempt":1,"new":1}]}'
    )
    await js.publish(SUBJECT, body)
    [stored] = (await bus.log.load(SUBJECT)).records
    unknown, known = stored.record.facts
    assert unknown.model_dump()["type"] == "task.sung"
    assert known == TaskAssigned(pool="dev", attempt=1)
