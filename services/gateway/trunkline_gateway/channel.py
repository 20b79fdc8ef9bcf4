"""Carries what is said on one tenant's channel to all who hear it: told once, encoded once for each kind of way, written to every seat.

A reader names the place from which on it hears. What is at hand is given from memory, what lies further back is read from the log; then it
takes a seat. One task follows the log for all seats. A reader that takes too little is cut, and comes back by the id of what it heard last.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from typing import Final, cast

import structlog

from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import Broken, DomainError, Unavailable
from trunkline.contracts.ids import TenantId
from trunkline.telemetry.traces import apart
from trunkline_gateway.broadcast import Burst, Line
from trunkline_gateway.ports import Happenings, Passage
from trunkline_gateway.usecases.retelling import Past, Retelling, record_before
from trunkline_gateway.usecases.telling import Place, Spoken, Teller

log = structlog.get_logger()

KEPT: Final = 4 << 20
"""Bytes of the newest frames that are at hand for whoever comes a moment later."""
WAITING: Final = 1 << 20
"""Bytes that may wait to be written to all; beyond it the log is followed no further until they are."""
TURN: Final = 250
"""Seats that are written to before others get a turn: some two milliseconds."""
PASSES: Final = 4
"""Readers of one gateway that read a page of the log at once; the next waits for its turn, never for another reader to take its page."""
PAGE: Final = 256 << 10
"""Bytes that are read at once for one reader, which holds them until it has taken them."""
PASSED: Final = 100
"""Bytes that each record counts for beside what it says: where it says nothing, others get their turn too."""
ROUNDS: Final = 20
"""How often a reader may be overtaken by what comes while it reads what was."""
LAST: Final = 9999
"""No record has so many facts, and no fact so many messages."""
LAGS: Final = "this reader does not take what is said on its channel; come back with the id of what was heard last"


class Way(StrEnum):
    """How frames reach a reader."""

    EVENTS = "events"
    """Server-sent events."""
    SOCKET = "socket"
    """A WebSocket."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message, ready for every way."""

    place: Place
    topic: str
    on: dict[Way, bytes]

    @property
    def size(self) -> int:
        return sum(map(len, self.on.values())) + 300


@dataclass(frozen=True, slots=True)
class Means:
    """What every channel is made of."""

    source: Happenings
    teller: Callable[[TenantId], Teller]
    encode: Callable[[TenantId, Spoken], Frame]


@dataclass(frozen=True, slots=True)
class Wish:
    """What one reader wants to hear, and which way."""

    topics: frozenset[str]
    way: Way


@dataclass(slots=True, eq=False)
class Seat:
    line: Line
    wish: Wish
    at: Place
    """Where its reader was when it sat down: it may have read ahead of the others."""
    cut: asyncio.Future[None]
    """Fails when nothing more will come by."""
    ahead: bool = True
    """Whether it may be. Places are not compared for thousands of seats when nothing comes of it."""

    def fresh(self, frames: Sequence[Frame]) -> Sequence[Frame]:
        """Those that its reader has not had; `frames` itself when those are all."""
        self.ahead = self.at >= frames[-1].place
        return frames if self.at < frames[0].place else [frame for frame in frames if frame.place > self.at]


@dataclass(frozen=True, slots=True)
class _Page:
    """Frames of the log in their order, up to the record `read`; `over` when nothing more was stored."""

    frames: list[bytes]
    read: Cursor
    over: bool


class _Newest:
    """The newest frames: all of them beyond `before`, up to `at`."""

    def __init__(self, before: Place) -> None:
        self.before = self.at = before
        self._frames: deque[Frame] = deque()
        self._size = 0

    def add(self, frame: Frame) -> None:
        self.at = frame.place
        self._frames.append(frame)
        self._size += frame.size
        while self._size > KEPT:
            gone = self._frames.popleft()
            self._size -= gone.size
            self.before = gone.place

    def beyond(self, at: Place) -> list[Frame] | None:
        """Nothing when not all of it is here."""
        return None if at < self.before else [frame for frame in self._frames if frame.place > at]


@dataclass(slots=True, eq=False)
class Channel:
    """One tenant's. `over` is called when it is of no use any more."""

    tenant: TenantId
    means: Means
    passes: asyncio.Semaphore
    over: Callable[[Channel], None]
    readers: int = 0
    _newest: _Newest | None = None
    _seats: dict[Wish, set[Seat]] = field(default_factory=dict)
    """Of readers who want the same and get the same bytes."""
    _fresh: list[Frame] = field(default_factory=list)
    _fresh_size: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _room: asyncio.Event = field(default_factory=asyncio.Event)
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _running: asyncio.Task[None] | None = None
    _failed: Exception | None = None

    async def now(self) -> Place:
        """From here on nothing is missed. Raises Unavailable."""
        async with self._starting:
            if self._newest is None:
                newest = _Newest(end_of(await self.means.source.newest()))
                self._newest = newest
                with apart():  # it outlives the request that comes first
                    self._running = asyncio.get_running_loop().create_task(self._run(newest))
        return self._newest.at

    async def hear(self, line: Line, wish: Wish, at: Place, speed: float | None = None) -> None:
        """All beyond `at`, what was at its own pace where a speed is named, until nothing more comes. Raises as `sit`."""
        seat = await self.sit(line, wish, at if speed is None else await self._replay(line, wish, Past(at, wish.topics, speed)))
        try:
            await seat.cut
        finally:
            self.leave(seat)

    async def _replay(self, line: Line, wish: Wish, past: Past) -> Place:
        """Where the reader is when it has caught up."""
        at, telling = past.at, Retelling(self.means.source, self.means.teller(self.tenant), self.passes)
        async with aclosing(telling.history(self.tenant, past)) as said:
            async for spoken in said:
                await line.send(self.means.encode(self.tenant, spoken).on[wish.way])
                at = spoken.place
        return at

    async def sit(self, line: Line, wish: Wish, at: Place) -> Seat:
        """Takes a seat when everything beyond `at` is sent. Raises DomainError, ConnectionResetError."""
        if at > await self.now():  # ahead of what was told here, or made up
            at = min(at, end_of(await self.means.source.newest()))
        for _ in range(ROUNDS):
            at, seat = await self._caught_up(line, wish, at)
            if seat:
                return seat
        raise Unavailable(LAGS, code="READER_LAGS")

    async def _caught_up(self, line: Line, wish: Wish, at: Place) -> tuple[Place, Seat | None]:
        newest = self._alive()
        frames = newest.beyond(at)
        if frames is None:
            return await self._read(line, wish, at, newest.at), None
        for frame in frames:
            await _send(line, wish, frame)
        at = max(at, frames[-1].place if frames else at)
        if self._alive().at > at:
            return at, None
        line.flush()
        seat = Seat(line, wish, at, asyncio.get_running_loop().create_future())
        self._seats.setdefault(wish, set()).add(seat)
        return at, seat

    def leave(self, seat: Seat) -> None:
        alike = self._seats.get(seat.wish, set())
        alike.discard(seat)
        if not alike:
            self._seats.pop(seat.wish, None)

    async def _read(self, line: Line, wish: Wish, at: Place, known: Place) -> Place:
        """What is stored, page by page, sent as fast as the reader takes it. Up to `known` all of it is stored."""
        teller, page = self.means.teller(self.tenant), _Page([], record_before(at), over=False)
        while not page.over:
            page = await self._page(teller, wish, at, page.read)
            for data in page.frames:
                await line.send(data)
        return max(end_of(page.read), known)

    async def _page(self, teller: Teller, wish: Wish, at: Place, read: Cursor) -> _Page:
        """What one reader wants beyond `at`, of the records behind `read`. The log is held for that alone, not until it is taken."""
        frames, size = list[bytes](), 0
        passages = cast(AsyncGenerator[Passage, None], self.means.source.all_recent(self.tenant, read))
        async with self.passes, aclosing(passages) as records:
            async for passage in records:
                read, fresh = passage.at, len(frames)
                told = await teller.told(passage)
                wanted = (spoken for spoken in told if spoken.place > at and spoken.message.topic in wish.topics)
                frames += [self.means.encode(self.tenant, spoken).on[wish.way] for spoken in wanted]
                size += PASSED + sum(map(len, frames[fresh:]))
                if size >= PAGE:
                    return _Page(frames, read, over=False)
        return _Page(frames, read, over=True)

    async def _told(self, passages: AsyncIterator[Passage]) -> AsyncGenerator[Frame, None]:
        """One pass over the log."""
        teller = self.means.teller(self.tenant)
        async with aclosing(cast(AsyncGenerator[Passage, None], passages)) as all_of_them:
            async for passage in all_of_them:
                for spoken in await teller.told(passage):
                    yield self.means.encode(self.tenant, spoken)

    def _alive(self) -> _Newest:
        if self._failed is not None:
            raise self._failed
        assert self._newest is not None
        return self._newest

    def rest(self) -> None:
        """Nobody hears it."""
        if self._running is not None:
            self._running.cancel()
        self.over(self)

    async def _run(self, newest: _Newest) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow(newest.at))
                group.create_task(self._spread(newest))
        except* DomainError as errors:
            self._break(cast(DomainError, errors.exceptions[0]))
        except* Exception as errors:  # a defect of one channel is the end of its readers, who come back, and not of the gateway
            log.error("channel.broke", tenant=self.tenant, exc_info=errors.exceptions[0])
            self._break(Broken("this channel cannot be told further", code="CHANNEL_BROKE"))

    def _break(self, error: Exception) -> None:
        self._failed = error
        self.over(self)
        for seat in tuple(chain.from_iterable(self._seats.values())):
            _cut(seat, error)

    async def _follow(self, at: Place) -> None:
        async with aclosing(self._told(self.means.source.follow_all(self.tenant, at.cursor))) as frames:
            async for frame in frames:
                await self._put(frame)

    async def _put(self, frame: Frame) -> None:
        self._fresh.append(frame)
        self._fresh_size += frame.size
        self._changed.set()
        if self._fresh_size > WAITING:
            self._room.clear()
            await self._room.wait()

    async def _spread(self, newest: _Newest) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            fresh, self._fresh, self._fresh_size = self._fresh, [], 0
            self._room.set()
            for frame in fresh:
                newest.add(frame)
            await self._give_all(fresh)

    async def _give_all(self, frames: Sequence[Frame]) -> None:
        """To every seat; whoever sits down meanwhile finds them among the newest."""
        for wish, alike in tuple(self._seats.items()):
            burst = _burst(frames, wish)
            for number, seat in enumerate(tuple(alike), 1):
                if seat in alike:
                    self._give(seat, frames, burst)
                if number % TURN == 0:
                    await asyncio.sleep(0)

    def _give(self, seat: Seat, frames: Sequence[Frame], burst: Burst) -> None:
        """`burst`: all of them, as whoever wants what it wants gets them."""
        if seat.ahead and (fresh := seat.fresh(frames)) is not frames:
            burst = _burst(fresh, seat.wish)
        if burst.data and not seat.line.push(burst):
            log.info("channel.reader_lags")
            _cut(seat, Unavailable(LAGS, code="READER_LAGS"))
            self.leave(seat)


class Channels:
    """Every channel that somebody hears."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._live: dict[TenantId, Channel] = {}
        self._passes = asyncio.Semaphore(PASSES)

    @asynccontextmanager
    async def hearing(self, tenant: TenantId) -> AsyncIterator[Channel]:
        """The tenant's channel, for as long as it is heard."""
        channel = self._live.get(tenant)
        if channel is None:
            channel = self._live[tenant] = Channel(tenant, self._means, self._passes, self._over)
        channel.readers += 1
        try:
            yield channel
        finally:
            channel.readers -= 1
            if not channel.readers:
                channel.rest()

    def _over(self, channel: Channel) -> None:
        if self._live.get(channel.tenant) is channel:
            del self._live[channel.tenant]


def end_of(record: Cursor) -> Place:
    """Behind everything that one record says."""
    return Place(Cursor(record.epoch, record.seq, LAST), LAST)


def _burst(frames: Sequence[Frame], wish: Wish) -> Burst:
    return Burst(b"".join(frame.on[wish.way] for frame in frames if frame.topic in wish.topics))


async def _send(line: Line, wish: Wish, frame: Frame) -> None:
    if frame.topic in wish.topics:
        await line.send(frame.on[wish.way])


def _cut(seat: Seat, error: Exception) -> None:
    if not seat.cut.done():
        seat.cut.set_exception(error)
        seat.cut.exception()  # whoever has left does not hear of it
