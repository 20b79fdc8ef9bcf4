"""One channel: what readers get from memory, from the log and live is whole, whoever overtakes whom, and what breaks ends aloud."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import DomainError, Unavailable
from trunkline.contracts.ids import TaskId, TenantId
from trunkline_gateway import channel
from trunkline_gateway.broadcast import Burst
from trunkline_gateway.channel import Channel, Channels, Frame, Means, Seat, Way, Wish, end_of
from trunkline_gateway.ports import Passage
from trunkline_gateway.usecases.telling import Message, Place, Spoken

HOME = TenantId("public")
AT = datetime(2025, 1, 12, tzinfo=UTC)
ODD, ALL = Wish(frozenset({"odd"}), Way.EVENTS), Wish(frozenset({"odd", "even"}), Way.EVENTS)
BEGINNING = Place(Cursor("e", 0))


@dataclass
class Log:
    """Numbers, each a record with one message about it; `broken` is raised to whoever follows."""

    size: int = 0
    broken: Exception | None = None
    readings: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def grow(self, count: int = 1) -> None:
        async with self.changed:
            self.size += count
            self.changed.notify_all()

    async def fail(self, error: Exception) -> None:
        async with self.changed:
            self.broken = error
            self.changed.notify_all()

    async def follow_all(self, tenant: TenantId, after: Cursor) -> AsyncIterator[Passage]:
        seq = after.seq
        while True:
            async with self.changed:
                while self.size <= seq and not self.broken:
                    await self.changed.wait()
            if self.broken:
                raise self.broken
            seq += 1
            yield passage(seq)

    async def all_recent(self, tenant: TenantId, after: Cursor) -> AsyncIterator[Passage]:
        self.readings += 1
        for seq in range(after.seq + 1, self.size + 1):
            yield passage(seq)

    async def newest(self) -> Cursor:
        return Cursor("e", self.size)

    async def before(self, moment: datetime) -> Cursor:
        return Cursor("e", 0)

    async def told(self, passage: Passage) -> tuple[Spoken, ...]:
        topic = "odd" if passage.at.seq % 2 else "even"
        return (Spoken(Place(passage.at), AT, Message(topic, "job", {"number": passage.at.seq})),)


def passage(seq: int) -> Passage:
    return Passage(TaskId("t"), "task", Cursor("e", seq), tuple)


def encode(tenant: TenantId, spoken: Spoken) -> Frame:
    return Frame(spoken.place, spoken.message.topic, {Way.EVENTS: b"%d " % spoken.place.cursor.seq})


@dataclass
class Line:
    """What one reader got; `takes` is whether it keeps up, and `pause` what happens while something is sent."""

    got: list[int] = field(default_factory=list)
    takes: bool = True
    overtaken: list[int] = field(default_factory=list)
    log: Log | None = None

    async def send(self, frame: bytes) -> None:
        self.got += map(int, frame.split())
        if self.overtaken and self.log:
            await self.log.grow(self.overtaken.pop())
        await asyncio.sleep(0)

    def flush(self) -> None:
        return

    def push(self, burst: Burst) -> bool:
        if self.takes:
            self.got += map(int, burst.data.split())
        return self.takes

    async def until(self, last: int) -> list[int]:
        async with asyncio.timeout(5):
            while not self.got or self.got[-1] < last:  # noqa: ASYNC110 (a list that grows)
                await asyncio.sleep(0)
        return self.got


def channels(log: Log) -> Channels:
    return Channels(Means(log, lambda _: log, encode))


async def test_everybody_hears_from_its_place_on_and_the_log_is_followed_once() -> None:
    log = Log(3)
    async with channels(log).hearing(HOME) as one:
        now, whole, odd = Line(), Line(), Line()
        await one.sit(now, ALL, await one.now())
        await one.sit(whole, ALL, BEGINNING)
        await one.sit(odd, ODD, BEGINNING)
        await log.grow(3)
        assert await now.until(6) == [4, 5, 6]
        assert await whole.until(6) == [1, 2, 3, 4, 5, 6]
        assert await odd.until(5) == [1, 3, 5]


@pytest.mark.parametrize("kept", [channel.KEPT, 1])
async def test_a_reader_that_is_overtaken_while_it_catches_up_misses_and_repeats_nothing(kept: int) -> None:
    log = Log(3)
    with keeping(kept):
        async with channels(log).hearing(HOME) as one:
            await one.now()
            lines = [Line(overtaken=[3, 2, 1], log=log), Line(), Line(overtaken=[5], log=log)]
            async with asyncio.timeout(5), asyncio.TaskGroup() as group:
                for line in lines:
                    group.create_task(one.sit(line, ALL, BEGINNING))
            await log.grow(4)
            for line in lines:
                assert await line.until(log.size) == list(range(1, log.size + 1))


@contextmanager
def keeping(size: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(channel, "KEPT", size)
        yield


async def test_who_takes_nothing_of_the_past_keeps_nobody_else_from_it() -> None:
    log = Log(50)
    async with channels(log).hearing(HOME) as one, asyncio.timeout(5), asyncio.TaskGroup() as group:
        await one.now()
        stuck = [Stuck() for _ in range(channel.PASSES)]
        sitting = [group.create_task(one.sit(line, ALL, BEGINNING)) for line in stuck]
        for line in stuck:
            await line.asked.wait()
        quick = Line()
        await one.sit(quick, ALL, BEGINNING)
        assert quick.got == list(range(1, 51))
        for task in sitting:
            task.cancel()


class Stuck(Line):
    """A reader that takes nothing at all."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def send(self, frame: bytes) -> None:
        self.asked.set()
        await asyncio.Event().wait()


@pytest.mark.parametrize("size", [1, 700])
async def test_a_past_of_many_pages_is_whole_whoever_writes_meanwhile(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "PAGE", size)
    log = Log(40)
    async with channels(log).hearing(HOME) as one:
        await one.now()
        whole, odd, late = Line(overtaken=[3, 2, 1], log=log), Line(), Line()
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            group.create_task(one.sit(whole, ALL, BEGINNING))
            group.create_task(one.sit(odd, ODD, BEGINNING))
            group.create_task(one.sit(late, ALL, Place(Cursor("e", 17))))
        await log.grow(5)
        assert log.readings > 3
        assert await whole.until(log.size) == list(range(1, log.size + 1))
        assert await late.until(log.size) == list(range(18, log.size + 1))
        assert await odd.until(log.size) == list(range(1, log.size + 1, 2))


async def test_what_is_at_hand_is_not_read_again() -> None:
    log = Log(3)
    async with channels(log).hearing(HOME) as one:
        place, first = await one.now(), Line()
        await one.sit(first, ALL, place)
        await log.grow(5)
        await first.until(8)
        late = Line()
        await one.sit(late, ALL, place)
        assert late.got == [4, 5, 6, 7, 8]
        assert log.readings == 0


async def test_whoever_read_ahead_of_the_others_hears_nothing_again() -> None:
    log = Log(3)
    async with channels(log).hearing(HOME) as one:
        first, ahead = Line(), Line()
        await one.sit(first, ALL, await one.now())
        await log.grow()
        await first.until(4)
        log.size += 4  # stored, and not told yet to those who sit: whoever follows waits for the word
        await one.sit(ahead, ALL, BEGINNING)
        assert (ahead.got, first.got) == ([1, 2, 3, 4, 5, 6, 7, 8], [4])
        await log.grow(2)
        assert await first.until(10) == [4, 5, 6, 7, 8, 9, 10]
        assert await ahead.until(10) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]


async def test_of_what_is_given_at_once_a_seat_takes_what_its_reader_has_not_read() -> None:
    frames = [encode(HOME, Spoken(Place(Cursor("e", seq)), AT, Message("odd", "job", {}))) for seq in range(1, 7)]
    seat = Seat(Line(), ALL, frames[3].place, asyncio.get_running_loop().create_future())
    assert (seat.fresh(frames[:4]), seat.ahead) == ([], True)
    assert (seat.fresh(frames[2:]), seat.ahead) == (frames[4:], False)
    assert seat.fresh(frames[5:]) == frames[5:]


async def test_a_reader_that_does_not_keep_up_is_cut_and_the_others_are_not() -> None:
    log = Log()
    async with channels(log).hearing(HOME) as one:
        slow, quick = Line(takes=False), Line()
        seat = await one.sit(slow, ALL, await one.now())
        await one.sit(quick, ALL, await one.now())
        await log.grow(2)
        await quick.until(2)
        assert await cut(seat) == "READER_LAGS"
        await log.grow()
        assert await quick.until(3) == [1, 2, 3]


async def cut(seat: Seat) -> str:
    async with asyncio.timeout(5):
        with pytest.raises(DomainError) as error:
            await seat.cut
    return error.value.code


@pytest.mark.parametrize(("error", "code"), [(Unavailable("away", code="LOG_UNREADABLE"), "LOG_UNREADABLE"), (KeyError(), "CHANNEL_BROKE")])
async def test_a_channel_that_breaks_ends_its_readers_and_the_next_begins_anew(error: Exception, code: str) -> None:
    log = Log()
    every = channels(log)
    async with every.hearing(HOME) as one:
        seat = await one.sit(Line(), ALL, await one.now())
        await log.fail(error)
        assert await cut(seat) == code
        with pytest.raises(DomainError):
            await one.sit(Line(), ALL, BEGINNING)
        log.broken = None
        async with every.hearing(HOME) as other:
            assert other is not one
            line = Line()
            await other.sit(line, ALL, await other.now())
            await log.grow()
            assert await line.until(1) == [1]


async def test_nobody_follows_the_log_for_nobody() -> None:
    log = Log()
    every = channels(log)
    async with every.hearing(HOME) as one:
        await one.now()
        async with every.hearing(HOME) as same:
            assert same is one
    assert not every._live
    await asyncio.sleep(0)
    assert running(one).cancelled() or running(one).cancelling()


def running(one: Channel) -> asyncio.Task[None]:
    assert one._running
    return one._running


async def test_the_end_of_a_record_is_behind_all_that_it_says() -> None:
    assert Place(Cursor("e", 4, 8), 3) < end_of(Cursor("e", 4)) < Place(Cursor("e", 5))


@pytest.mark.parametrize("place", [Place(Cursor("k3v9", 12)), Place(Cursor("k3v9", 12, 3), 2)])
def test_a_place_is_read_as_it_was_written(place: Place) -> None:
    assert Place.parse(str(place)) == place
