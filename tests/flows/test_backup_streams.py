"""A backup of a bus in use, put back on another nats-server: places, positions and timers go on, and a cut restore is begun again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from io import BytesIO

import pytest
from nats.js.api import StreamConfig
from pydantic import BaseModel

from trunkline.bus import Bus, BusSettings, connect
from trunkline.bus.backing_up import back_up, write_late, write_streams
from trunkline.bus.restoring import BACKUP, Restored, restore
from trunkline.bus.sealed_file import Piece, SealedWriter, pieces
from trunkline.bus.streams import EVENTS, RESTORING
from trunkline.bus.visiting import visiting
from trunkline.contracts import subjects
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import Conflict
from trunkline.contracts.ids import SandboxId, TaskId, TenantId
from trunkline.contracts.record import Event, Gap, Record
from trunkline.contracts.task import EventPublished
from trunkline.runtime.clock import now
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_cli.nats_store import finish

pytestmark = [pytest.mark.flow, pytest.mark.timeout(60)]

KEY = b"k" * 32
ACME, ONE = TenantId("acme"), TaskId("1" * 32)
SANDBOX = SandboxId("sbx1")
PLACE = subjects.event(ACME, ONE, subjects.MESSAGE)


class Wake(BaseModel):
    task: str = ONE


def told(text: str) -> Record:
    return Record(at=now(), facts=(EventPublished(event_type="note.made", by="ann", payload={"text": text}),))


@pytest.fixture(scope="module")
def first() -> Iterator[NatsServer]:
    with nats_server() as server:
        yield server


@pytest.fixture
def second() -> Iterator[NatsServer]:
    with nats_server() as server:
        yield server


def at(server: NatsServer) -> BusSettings:
    return BusSettings(nats_url=server.url)


async def backed_up(server: NatsServer) -> bytes:
    file = BytesIO()
    async with visiting(at(server)) as visit:
        box = SealedWriter(file, KEY)
        box.say({"backup": "one", "version": 1})
        box.end({"over": (await back_up(visit, box)).told()})
    return file.getvalue()


async def put_back(server: NatsServer, backup: bytes, cut: Callable[[Iterator[Piece]], Iterator[Piece]] = iter) -> Restored:
    async with visiting(at(server)) as visit:
        return await restore(visit, cut(pieces(BytesIO(backup), KEY)), 1, None)


async def read(events: AsyncIterator[Event | Gap], count: int) -> list[Event | Gap]:
    found: list[Event | Gap] = []
    async with asyncio.timeout(10):
        async for event in events:
            found.append(event)
            if len(found) == count:
                return found
    return found


def facts(event: Event | Gap) -> object:
    return event.fact if isinstance(event, Event) else event


async def positions(bus: Bus, consumer: str) -> int:
    return int((await bus.client.jetstream().consumer_info(EVENTS, consumer)).ack_floor.stream_seq)


async def acted_on(bus: Bus, count: int) -> list[int]:
    """What the sandbox service hears of tasks, until so much of it was done with."""
    seen: list[int] = []
    source = await bus.client.jetstream().pull_subscribe_bind("sandbox-named", stream=EVENTS)
    async with asyncio.timeout(30):
        while len(seen) < count:
            with suppress(TimeoutError):  # nothing yet
                for message in await source.fetch(count - len(seen), timeout=2):
                    seen.append(message.metadata.sequence.stream)
                    await message.ack_sync()
    return seen


async def test_what_was_told_before_is_a_place_still_and_what_was_lost_never_is(first: NatsServer, second: NatsServer) -> None:
    async with connect(at(first), "test") as bus:
        for number in range(6):
            await bus.log.say(PLACE, told(str(number)), id=f"m{number}")
        backup, epoch = await backed_up(first), bus.epoch
        lost = await bus.log.say(PLACE, told("lost"), id="lost")
        before = await read(bus.live.follow(ACME, ONE, None), 6)
    restored = await put_back(second, backup)
    async with connect(at(second), "test") as bus:
        assert (restored.epoch, restored.last_seq) == (bus.epoch, lost - 1)
        assert bus.epoch != epoch
        assert [bus.epoch_at(lost - 1), bus.epoch_at(lost)] == [epoch, bus.epoch]
        known = before[2]
        assert isinstance(known, Event)
        rest = await read(bus.live.follow(ACME, ONE, known.cursor), 3)
        assert [event.fact for event in rest if isinstance(event, Event)] == [
            event.fact for event in before[3:] if isinstance(event, Event)
        ]
        await bus.log.say(PLACE, told("another"), id="another")  # takes the place of what was lost
        gap, *_ = await read(bus.live.follow(ACME, ONE, Cursor(epoch, lost)), 2)
        assert isinstance(gap, Gap)


async def test_nobody_hears_again_what_was_done_with_and_everybody_what_was_not(first: NatsServer, second: NatsServer) -> None:
    wanted = subjects.sandbox(ACME, SANDBOX)
    async with connect(at(first), "test") as bus:
        seqs = [await bus.log.say(wanted, told(str(number)), id=f"s{number}") for number in range(4)]
        assert await acted_on(bus, 2) == seqs[:2]
        backup = await backed_up(first)
        assert await acted_on(bus, 1) == seqs[2:3]  # after the backup: the restored one knows nothing of it
    await put_back(second, backup)
    async with connect(at(second), "test") as bus:
        assert await acted_on(bus, 2) == seqs[2:]
        assert await positions(bus, "relay-webhooks") >= 0


async def test_timers_fire_and_secrets_open_there_also_those_that_came_while_the_backup_ran(first: NatsServer, second: NatsServer) -> None:
    async with connect(at(first), "test") as bus:
        vault = bus.vault(KEY)
        await vault.put(ACME, "early", "a secret of ann's")
        await bus.timers.set("early", "1", now() + timedelta(seconds=1.5), ("router", "sla"), Wake())
        file = BytesIO()
        async with visiting(at(first)) as visit:
            box = SealedWriter(file, KEY)
            box.say({"backup": "one", "version": 1})
            written = await write_streams(visit, box)
            await vault.put(ACME, "late", "another")
            await bus.timers.set("late", "1", now() + timedelta(seconds=1.5), ("router", "sla"), Wake())
            await write_late(visit, box, written)
            box.end({"over": written.told()})
    await put_back(second, file.getvalue())
    async with connect(at(second), "test") as bus:
        assert [await bus.vault(KEY).get(ACME, name) for name in ("early", "late")] == ["a secret of ann's", "another"]
        source = await bus.client.jetstream().pull_subscribe_bind("due-router-sla", stream="TIMERS")
        due = [*await source.fetch(1, timeout=5), *await source.fetch(1, timeout=5)]
        assert [Wake.model_validate_json(message.data).task for message in due] == [ONE, ONE]


async def test_a_restore_that_was_cut_lets_nobody_begin_and_is_begun_again(first: NatsServer, second: NatsServer) -> None:
    async with connect(at(first), "test") as bus:
        await bus.log.say(PLACE, told("whole"), id="whole")
    backup = await backed_up(first)

    def cut(found: Iterator[Piece]) -> Iterator[Piece]:
        for piece in found:
            yield piece
            if isinstance(piece, dict) and piece.get("stream") == EVENTS and "state" in piece:
                raise OSError("killed")

    with pytest.raises(OSError, match="killed"):
        await put_back(second, backup, cut)
    with pytest.raises(Conflict) as refused:
        async with connect(at(second), "test"):
            raise AssertionError("nobody may begin")
    assert refused.value.code == "RESTORE_UNFINISHED"
    await put_back(second, backup)
    async with connect(at(second), "test") as bus:
        assert await bus.log.last_seq() > 0


async def make(server: NatsServer, name: str, metadata: dict[str, str] | None = None) -> None:
    async with visiting(at(server)) as visit:
        await visit.js.add_stream(StreamConfig(name=name, subjects=[name.lower()], metadata=metadata))


async def streams(server: NatsServer) -> set[str]:
    async with visiting(at(server)) as visit:
        return {str(stream["config"]["name"]) for stream in await visit.streams()}


def kill_while_it_makes(server: NatsServer, name: str) -> None:
    """As if: this file is what such a stream lacks."""
    (meta,) = server.folder.glob(f"store/jetstream/*/streams/{name}/meta.sum")
    server.kill()
    meta.unlink()


async def test_what_a_killed_server_left_half_made_is_there_for_good_when_it_is_made_again(second: NatsServer) -> None:
    await make(second, "ONE")
    kill_while_it_makes(second, "ONE")
    assert [finish(second.folder / "store"), finish(second.folder / "store")] == [1, 0]
    second.start()
    assert await streams(second) == set()
    await make(second, "ONE")
    second.kill()
    second.start()
    assert await streams(second) == {"ONE"}


async def test_a_restore_is_whole_for_good_though_a_server_was_killed_under_an_earlier_one(first: NatsServer, second: NatsServer) -> None:
    async with connect(at(first), "test") as bus:
        await bus.log.say(PLACE, told("one"), id="for good")
    backup = await backed_up(first)
    await make(second, RESTORING, {BACKUP: "one"})
    await make(second, "DEAD")
    kill_while_it_makes(second, "DEAD")
    second.start()
    done = await put_back(second, backup)
    second.kill()
    second.start()
    assert {RESTORING, "DEAD"} & await streams(second) == {"DEAD"}
    again = await put_back(second, backup)  # killed behind its end, it says that it was at its end
    assert (again.already, again.epoch, again.last_seq) == (True, done.epoch, done.last_seq)
    async with connect(at(second), "test") as bus:
        await bus.log.say(PLACE, told("since"), id="since")
    with pytest.raises(Conflict, match="gone on since"):
        await put_back(second, backup)


async def test_a_backup_is_put_nowhere_where_something_is(first: NatsServer) -> None:
    backup = await backed_up(first)
    with pytest.raises(Conflict) as refused:
        await put_back(first, backup)
    assert refused.value.code == "NOT_EMPTY"


async def test_a_backup_while_many_write_is_one_moment_of_the_log(first: NatsServer, second: NatsServer) -> None:
    async with connect(at(first), "test") as bus, asyncio.TaskGroup() as group:
        writing = [group.create_task(write(bus, number)) for number in range(4)]
        backup = await backed_up(first)
        for task in writing:
            task.cancel()
    restored = await put_back(second, backup)
    async with connect(at(first), "test") as was, connect(at(second), "test") as bus:
        assert await was.log.last_seq() > restored.last_seq
        for subject in {subjects.event(ACME, TaskId(str(number) * 32), subjects.MESSAGE) for number in range(4)}:
            there = [stored.body for stored in (await bus.log.load(subject)).records]
            assert there == [stored.body for stored in (await was.log.load(subject)).records if stored.seq <= restored.last_seq]


async def write(bus: Bus, number: int) -> None:
    for count in range(100_000):
        await bus.log.say(subjects.event(ACME, TaskId(str(number) * 32), subjects.MESSAGE), told("x" * 500), id=f"w{number}.{count}")
