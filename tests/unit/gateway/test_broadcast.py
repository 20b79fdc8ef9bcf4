"""Whatever a reader's luck, it gets every event once and in order: it comes early, late or in the middle, keeps up or lags."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

import pytest

from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import Broken, Unavailable
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.record import Event, Gap
from trunkline.contracts.run import AgentInterrupted, AgentOutput, Said
from trunkline.contracts.task import TaskCancelled
from trunkline_gateway.broadcast import HELD, KEPT, PIECE, Broadcasts, Burst
from trunkline_gateway.ports import Timeline
from trunkline_gateway.usecases.replay import Place

TIMELINE = Timeline(TenantId("t"), TaskId("x"))
AT = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass
class Log:
    """The timelines of one task, as a feed gives them."""

    events: list[Event] = field(default_factory=list)
    broken: Exception | None = None
    first: int = 1
    """The oldest that is kept."""
    lost: bool = False
    reads: int = 0
    follows: int = 0
    size: int = 8
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def say(self, *, ends: bool = False) -> None:
        seq = len(self.events) + 1
        fact = (
            TaskCancelled(by="a", reason="")
            if ends
            else AgentOutput(attempt=1, line=seq, kind=Said.MESSAGE, text=f"{seq:06d}".ljust(self.size))
        )
        self.events.append(Event(Cursor("k", seq), TIMELINE.tenant, TIMELINE.task, "output", AT, fact))
        self.wake()

    def mean_nothing(self) -> None:
        """A fact that the surface has no words for."""
        fact = AgentInterrupted(attempt=1, sitting=1, wish="w", by="a")
        self.events.append(Event(Cursor("k", len(self.events) + 1), TIMELINE.tenant, TIMELINE.task, "run", AT, fact))
        self.wake()

    def wake(self) -> None:
        self._more.set()
        self._more = asyncio.Event()

    async def recent(self, timeline: Timeline, after: Cursor | None) -> AsyncIterator[Event | Gap]:
        self.reads += 1
        for event in self.events[max(after.seq if after else 0, self.first - 1) :]:
            await asyncio.sleep(0)
            yield event

    async def follow(self, timeline: Timeline, after: Cursor | None) -> AsyncIterator[Event | Gap]:
        self.follows += 1
        place = after.seq if after else 0
        while True:
            while place < len(self.events):
                place += 1
                yield self.events[place - 1]
            if self.broken:
                raise self.broken
            if self.lost:
                yield Gap(Cursor("k", place), Cursor("k", place + 1))
            await self._more.wait()


@dataclass
class Reader:
    """Takes at most `room` bytes at once; more waits until it has taken what is there."""

    room: int = 1 << 30
    lag: Callable[[], float] = lambda: 0.0
    got: bytes = b""
    pushes: int = 0
    refused: int = 0
    full: bool = False

    async def send(self, frame: bytes) -> None:
        await asyncio.sleep(self.lag())
        self.full = False
        self.got += frame

    def flush(self) -> None: ...

    def push(self, burst: Burst) -> bool:
        assert burst.chunk != b"0\r\n\r\n", "this would end the answer"
        if self.full or len(burst.data) > self.room or self.lag() > 0:
            self.refused += 1
            return False
        self.pushes += 1
        self.got += burst.data
        return True

    @property
    def lines(self) -> list[str]:
        return self.got.decode().split()


def told(item: Event | Gap) -> bytes:
    if isinstance(item, Gap):
        return b"gap\n"
    if isinstance(item.fact, AgentInterrupted):
        return b""
    return b"%s\n" % (item.fact.text.encode() if isinstance(item.fact, AgentOutput) else b"end")


def broadcasts(log: Log) -> Broadcasts:
    return Broadcasts(log, lambda _: told)  # type: ignore[arg-type]  # all of a feed that readers need


def whole(log: Log) -> list[str]:
    return [told(event).decode().strip() for event in log.events]


async def turns(number: int = 20) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(8))
async def test_every_reader_gets_every_event_once_and_in_order_whenever_it_comes_and_however_it_lags(seed: int) -> None:
    luck = Random(seed)
    log = Log(size=luck.choice([8, 4000]))
    live, readers = broadcasts(log), [Reader(room=luck.choice([20, 100, 1 << 30])) for _ in range(40)]
    for reader in readers[::3]:
        reader.lag = lambda: luck.choice([0.0, 0.0, 0.0, 0.0005])
    async with asyncio.TaskGroup() as group:

        async def read(reader: Reader) -> None:
            await asyncio.sleep(luck.random() * 0.05)
            newest = log.events[-1].cursor if log.events and len(log.events) < 150 else None  # nobody comes back who saw the end
            after = luck.choice([None, newest])
            skipped = after.seq if after else 0
            async with asyncio.timeout(30):
                await live.tell(TIMELINE, Place(after), reader)
            assert reader.lines == whole(log)[skipped:]

        for reader in readers:
            group.create_task(read(reader))
        for number in range(150):
            log.say(ends=number == 149)
            await asyncio.sleep(luck.choice([0.0, 0.0, 0.0003]))


async def test_a_crowd_that_comes_at_once_reads_the_log_once_and_follows_it_once() -> None:
    log = Log()
    for _ in range(10):
        log.say()
    live, readers = broadcasts(log), [Reader() for _ in range(100)]
    async with asyncio.TaskGroup() as group:
        group.create_task(live.tell(TIMELINE, Place(None), first := Reader()))
        await turns(40)
        for reader in readers:
            group.create_task(live.tell(TIMELINE, Place(None), reader))
        await turns()
        log.say()
        log.say(ends=True)

    assert (log.reads, log.follows) == (1, 1)
    assert all(reader.lines == whole(log) for reader in [first, *readers])


async def test_what_comes_in_one_turn_is_one_write_for_each_reader() -> None:
    log, reader = Log(), Reader()
    async with asyncio.TaskGroup() as group:
        group.create_task(broadcasts(log).tell(TIMELINE, Place(None), reader))
        await turns()
        for _ in range(50):
            log.say()
        await turns()
        assert reader.pushes == 1
        log.say(ends=True)
    assert reader.lines == whole(log)


async def test_a_reader_that_comes_back_with_an_old_place_reads_what_is_not_at_hand_any_more() -> None:
    log, early, late = Log(size=KEPT // 4), Reader(), Reader()
    live = broadcasts(log)
    async with asyncio.TaskGroup() as group:
        group.create_task(live.tell(TIMELINE, Place(None), early))
        await turns()
        for _ in range(10):
            log.say()
            await turns()
        group.create_task(live.tell(TIMELINE, Place(log.events[1].cursor), late))
        await turns(40)
        log.say(ends=True)
    assert early.lines == whole(log)
    assert late.lines == whole(log)[2:]


async def test_a_feed_that_breaks_is_told_to_every_reader_and_the_next_begins_anew() -> None:
    log = Log()
    log.say()
    live, readers = broadcasts(log), [Reader(), Reader()]
    running = [asyncio.ensure_future(live.tell(TIMELINE, Place(None), reader)) for reader in readers]
    await turns()
    log.broken = Unavailable("the log is away")
    log.wake()
    for each in running:
        with pytest.raises(Unavailable):
            await each

    log.broken = None
    again = Reader()
    async with asyncio.TaskGroup() as group:
        group.create_task(live.tell(TIMELINE, Place(None), again))
        await turns()
        log.say(ends=True)
    assert again.lines == whole(log)


async def test_nobody_follows_what_nobody_reads() -> None:
    log = Log()
    log.say()
    live = broadcasts(log)
    for _ in range(3):
        reading = asyncio.ensure_future(live.tell(TIMELINE, Place(None), Reader()))
        await turns()
        reading.cancel()
        await turns()
    assert log.follows == 3
    assert not live._live


async def test_facts_without_words_end_no_answer_and_are_not_kept_for_ever() -> None:
    log, early, late = Log(), Reader(), Reader()
    live = broadcasts(log)
    async with asyncio.TaskGroup() as group:
        group.create_task(live.tell(TIMELINE, Place(None), early))
        await turns()
        for _ in range(2 * KEPT // HELD):
            log.mean_nothing()
        await turns()
        (broadcast,) = live._live.values()
        assert len(broadcast._kept._frames) <= KEPT // HELD
        group.create_task(live.tell(TIMELINE, Place(log.events[-3].cursor), late))
        await turns()
        log.say(ends=True)
    assert early.lines == late.lines == ["end"]


async def test_readers_that_lag_a_little_do_not_read_the_log_again() -> None:
    log, readers = Log(size=4000), [Reader(room=6000) for _ in range(50)]
    live = broadcasts(log)
    async with asyncio.TaskGroup() as group:
        for reader in readers:
            group.create_task(live.tell(TIMELINE, Place(None), reader))
        await turns()
        reads = log.reads
        for _ in range(5):
            log.say()
            log.say()
            await turns(40)
        log.say(ends=True)
    assert log.reads == reads
    assert all(reader.refused and reader.lines == whole(log) for reader in readers)


async def test_a_burst_is_written_in_pieces_so_that_who_keeps_up_is_not_taken_for_lagging() -> None:
    log, reader = Log(size=PIECE // 3), Reader(room=PIECE)
    async with asyncio.TaskGroup() as group:
        group.create_task(broadcasts(log).tell(TIMELINE, Place(None), reader))
        await turns()
        for _ in range(12):
            log.say()
        await turns(40)
        log.say(ends=True)
    assert (reader.refused, log.reads) == (0, 1)
    assert reader.lines == whole(log)


async def test_a_reader_that_comes_when_the_log_has_forgotten_the_beginning_takes_a_seat_all_the_same() -> None:
    log, early, late = Log(size=KEPT // 4), Reader(), Reader()
    live = broadcasts(log)
    async with asyncio.TaskGroup() as group:
        group.create_task(live.tell(TIMELINE, Place(None), early))
        await turns()
        for _ in range(10):
            log.say()
            await turns()
        log.first = len(log.events) + 1
        group.create_task(live.tell(TIMELINE, Place(None), late))
        await turns(40)
        assert log.reads == 2
        log.say(ends=True)
    assert early.lines == whole(log)
    assert late.lines == ["end"]


async def test_what_the_log_loses_while_it_is_followed_is_never_told_as_if_nothing_were_missing() -> None:
    log, reader = Log(), Reader()
    log.say()
    running = asyncio.ensure_future(broadcasts(log).tell(TIMELINE, Place(None), reader))
    await turns()
    log.lost = True
    log.wake()
    with pytest.raises(Unavailable):
        await running
    assert reader.lines == whole(log)


async def test_a_defect_ends_the_readers_of_its_timeline_and_not_the_gateway() -> None:
    log, reader = Log(), Reader()
    log.say()
    running = asyncio.ensure_future(broadcasts(log).tell(TIMELINE, Place(None), reader))
    await turns()
    log.broken = ZeroDivisionError("a defect of ours")
    log.wake()
    with pytest.raises(Broken):
        await running
