"""Carries a timeline that goes on to all who read it: encoded once, written straight to whoever keeps up, read again by whoever lags.

A reader first reads what is stored, then takes a seat. One task follows the timeline for all seats, so that an event costs one write for
each of them and no turn of a task. A reader whose connection takes no more leaves its seat and is awaited until it has caught up: with the
newest frames, which are at hand, else with pages of the log.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Protocol, cast

import structlog

from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import Broken, DomainError, Unavailable
from trunkline.contracts.record import Event, Gap
from trunkline.contracts.task import ENDS
from trunkline.telemetry.traces import apart
from trunkline_gateway.ports import Feed, Timeline
from trunkline_gateway.usecases.replay import Place, Replay

log = structlog.get_logger()

KEPT: Final = 256 << 10
"""Bytes of the newest frames that are kept for whoever takes a seat a moment later, or lags a little."""
HELD: Final = 200
"""Bytes that a frame takes beside its own: many facts mean nothing to a surface, and their places are kept too."""
WAITING: Final = 1 << 20
"""Bytes that may wait to be written to all; beyond it the timeline is followed no further until they are."""
PIECE: Final = 64 << 10
"""Bytes that are written to a reader at once, more where one frame is larger: else whoever keeps up would seem to lag."""
TURN: Final = 500
"""Seats that are written to before others get a turn: some five milliseconds."""

Encode = Callable[[Event | Gap], bytes]


class Line(Protocol):
    """The way to one reader."""

    async def send(self, frame: bytes) -> None:
        """Waits while the reader lags. Raises ConnectionResetError when it is gone."""
        ...

    def flush(self) -> None: ...

    def push(self, burst: Burst) -> bool:
        """Writes at once, nothing for no bytes; False, and nothing of it is written, when the reader lags."""
        ...


class Burst:
    """Frames that are written together, ready for every reader."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.chunk = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        """As a chunk of HTTP/1.1; an empty one would end the answer."""


@dataclass(frozen=True, slots=True)
class _Frame:
    at: Cursor
    data: bytes
    ends: bool

    @property
    def held(self) -> int:
        return len(self.data) + HELD


class _Kept:
    """The newest frames, all beyond `before` up to `at`; None stands for the beginning."""

    def __init__(self, before: Cursor | None) -> None:
        self._before = before
        self.at = before
        self.ends = False
        self._frames: deque[_Frame] = deque()
        self._size = 0

    def add(self, frame: _Frame) -> None:
        self.at, self.ends = frame.at, frame.ends
        self._frames.append(frame)
        self._size += frame.held
        while self._size > KEPT:
            gone = self._frames.popleft()
            self._size -= gone.held
            self._before = gone.at

    def pass_by(self, at: Cursor) -> None:
        """A frame that is not kept."""
        self._before = self.at = at

    def covers(self, at: Cursor | None) -> bool:
        """Whether all beyond a place is here, that a reader names: a crowd that comes at once reads the log once."""
        if at is None or self.at is None:
            return self._before is None and self.at is not None
        return at.epoch == self.at.epoch and (self._before is None or self._before <= at) and at <= self.at

    def beyond(self, at: Cursor | None) -> list[_Frame] | None:
        """What lies beyond a place that a reader has read up to; None when not all of it is here. A reader may be ahead of us."""
        if self.at is None or (at is not None and at >= self.at):
            return []
        if self._before is not None and (at is None or at < self._before):
            return None
        return [frame for frame in self._frames if at is None or frame.at > at]


@dataclass(slots=True, eq=False)
class _Seat:
    line: Line
    at: Cursor | None
    left: asyncio.Future[bool]
    """Whether the timeline has ended; else the reader lags."""


class Broadcast:
    """One live timeline in the words of one dialect. `over` is called when nobody reads it any more."""

    def __init__(self, feed: Feed, timeline: Timeline, encode: Encode, over: Callable[[Broadcast], None]) -> None:
        self.timeline = timeline
        self._feed = feed
        self._encode = encode
        self._over = over
        self._seats: set[_Seat] = set()
        self._kept = _Kept(None)
        self._fresh: list[_Frame] = []
        self._fresh_size = 0
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._failed: Exception | None = None
        self._readers = 0
        self._gathering = False

    async def carry(self, line: Line, after: Cursor | None) -> None:
        """To one reader all beyond `after`, to the end. Raises DomainError, ConnectionResetError."""
        self._readers += 1
        try:
            known, over = self._running is not None and self._kept.covers(after), False
            while not over:
                after, over = await (self._catch_up if known else self._read)(line, after)
                line.flush()
                if over:
                    return
                seat, known = self._seated(line, after), True
                try:
                    over = await seat.left
                finally:
                    self._seats.discard(seat)
                after = seat.at
        finally:
            self._readers -= 1
            if not self._readers:
                self._rest()

    async def _catch_up(self, line: Line, at: Cursor | None) -> tuple[Cursor | None, bool]:
        """As `_read`, of what is at hand: thousands may lag at once, and the log is not to be read for each of them."""
        missed = self._kept.beyond(at)
        if missed is None:
            return await self._read(line, at)
        for frame in missed:
            await line.send(frame.data)
            at = frame.at
        return at, bool(missed) and missed[-1].ends

    async def _read(self, line: Line, after: Cursor | None) -> tuple[Cursor | None, bool]:
        """What is stored, sent as fast as the reader takes it; where the reader is then, and whether the timeline has ended."""
        mark, gathers = self._kept.at, not (self._gathering or self._running)
        self._gathering |= gathers
        try:
            read, over = await self._send_stored(line, _Kept(after), gathers)
        finally:
            self._gathering &= not gathers
        if over:
            return read.at, True
        if self._running is None:
            self._begin(read)
        # What was carried before we read is either read by now or not in the log any more: old events are removed while a task goes on.
        return read.at if mark is None or (read.at is not None and read.at > mark) else mark, False

    async def _send_stored(self, line: Line, read: _Kept, gathers: bool) -> tuple[_Kept, bool]:
        """What was read, with its newest frames where this reader gathers them for those that come after it."""
        async with aclosing(cast(AsyncGenerator[Event | Gap, None], self._feed.recent(self.timeline, read.at))) as items:
            async for item in items:
                data = self._encode(item)
                await line.send(data)
                if isinstance(item, Gap):
                    read = _Kept(None)  # what follows a gap is read from the beginning
                elif gathers:
                    read.add(_Frame(item.cursor, data, isinstance(item.fact, ENDS)))
                else:
                    read.pass_by(item.cursor)
                if isinstance(item, Event) and isinstance(item.fact, ENDS):
                    return read, True
        return read, False

    def _seated(self, line: Line, at: Cursor | None) -> _Seat:
        """Among those that hear what comes; a reader that lags leaves at once, and so does everybody when all has come."""
        if self._failed is not None:
            raise self._failed
        seat = _Seat(line, at, asyncio.get_running_loop().create_future())
        missed = self._kept.beyond(at)
        if missed is None or (missed and not line.push(Burst(b"".join(frame.data for frame in missed)))):
            seat.left.set_result(False)
            return seat
        seat.at = missed[-1].at if missed else at
        if self._kept.ends:
            seat.left.set_result(True)
        else:
            self._seats.add(seat)
        return seat

    def _begin(self, read: _Kept) -> None:
        """From where the first reader is."""
        self._kept = read
        with apart():  # it outlives the request that comes first
            self._running = asyncio.get_running_loop().create_task(self._run(read.at))

    def _rest(self) -> None:
        if self._running is not None:
            self._running.cancel()
            self._running = None
        self._over(self)

    async def _run(self, at: Cursor | None) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow(at))
                group.create_task(self._spread())
        except* DomainError as errors:
            self._break(errors.exceptions[0])
        except* Exception as errors:  # a defect of one timeline is the end of its readers, who come back, and not of the gateway
            log.error("broadcast.broke", task=self.timeline.task, exc_info=errors.exceptions[0])
            self._break(Broken("this timeline cannot be told further", code="BROADCAST_BROKE"))

    def _break(self, error: Exception) -> None:
        self._failed = error
        self._over(self)
        for seat in self._seats:
            if not seat.left.done():
                seat.left.set_exception(error)

    async def _follow(self, at: Cursor | None) -> None:
        async with aclosing(cast(AsyncGenerator[Event | Gap, None], self._feed.follow(self.timeline, at))) as items:
            async for item in items:
                if isinstance(item, Gap):  # whoever comes back is told
                    raise Unavailable("the log no longer holds what was being read; come back with your last event id")
                ends = isinstance(item.fact, ENDS)
                await self._put(_Frame(item.cursor, self._encode(item), ends))
                if ends:
                    return

    async def _put(self, frame: _Frame) -> None:
        self._fresh.append(frame)
        self._fresh_size += frame.held
        self._changed.set()
        if self._fresh_size > WAITING:
            self._room.clear()
            await self._room.wait()

    async def _spread(self) -> None:
        while not self._kept.ends:
            await self._changed.wait()
            self._changed.clear()
            fresh, self._fresh, self._fresh_size = self._fresh, [], 0
            self._room.set()
            for piece in _pieces(fresh):
                await self._write(piece)
                if piece[-1] is not fresh[-1]:
                    await asyncio.sleep(0)  # what is written goes out when the loop turns

    async def _write(self, frames: list[_Frame]) -> None:
        """To every seat. Whoever sits down meanwhile finds the frames among those that are kept."""
        seats = tuple(self._seats)
        before = self._kept.at
        for frame in frames:
            self._kept.add(frame)
        burst = Burst(b"".join(frame.data for frame in frames))
        for number, seat in enumerate(seats, 1):
            self._give(seat, frames, burst, before)
            if number % TURN == 0:
                await asyncio.sleep(0)
        if self._kept.ends:
            self._end()

    def _give(self, seat: _Seat, frames: list[_Frame], burst: Burst, before: Cursor | None) -> None:
        if seat.left.done():
            return
        at = seat.at
        if at is not before and at is not None and (before is None or at > before):  # it read ahead of the others
            frames = [frame for frame in frames if frame.at > at]
            burst = Burst(b"".join(frame.data for frame in frames))
        if burst.data and not seat.line.push(burst):
            seat.left.set_result(False)
        elif frames:
            seat.at = frames[-1].at

    def _end(self) -> None:
        self._over(self)
        for seat in self._seats:
            if not seat.left.done():
                seat.left.set_result(True)


def _pieces(frames: list[_Frame]) -> Iterator[list[_Frame]]:
    """The same in order, so many together as are written at once."""
    piece: list[_Frame] = []
    size = 0
    for frame in frames:
        if piece and size + len(frame.data) > PIECE:
            yield piece
            piece, size = [], 0
        piece.append(frame)
        size += len(frame.data)
    if piece:
        yield piece


class Broadcasts:
    """Every timeline that somebody reads in the words of one dialect."""

    def __init__(self, feed: Feed, encode: Callable[[Timeline], Encode]) -> None:
        self._feed = feed
        self._encode = encode
        self._live: dict[Timeline, Broadcast] = {}

    def tell(self, timeline: Timeline, place: Place, line: Line) -> Awaitable[None]:
        """To one reader what it asks for, to the end; to be awaited at once. Raises DomainError, ConnectionResetError."""
        if place.speed is not None:
            return self._replay(line, timeline, place.after, place.speed)
        return self._carry(line, timeline, place.after) if timeline.end is None else self._send(line, timeline, place.after)

    def _carry(self, line: Line, timeline: Timeline, after: Cursor | None) -> Awaitable[None]:
        found = self._live.get(timeline)
        if found is None:
            found = self._live[timeline] = Broadcast(self._feed, timeline, self._encode(timeline), self._over)
        return found.carry(line, after)

    async def _send(self, line: Line, timeline: Timeline, after: Cursor | None) -> None:
        """What is over is nobody's but its reader's."""
        await _put_on(line, self._feed.follow(timeline, after), self._encode(timeline))

    async def _replay(self, line: Line, timeline: Timeline, after: Cursor | None, speed: float) -> None:
        """What is stored at its own pace, then what comes as it comes."""
        place, over = await _put_on(line, Replay(self._feed).history(timeline, after, speed), self._encode(timeline), after)
        if not over and timeline.end is None:
            await self._carry(line, timeline, place)

    def _over(self, broadcast: Broadcast) -> None:
        if self._live.get(broadcast.timeline) is broadcast:
            del self._live[broadcast.timeline]


async def _put_on(line: Line, items: AsyncIterator[Event | Gap], encode: Encode, after: Cursor | None = None) -> tuple[Cursor | None, bool]:
    """Each item as it comes; where the reader is then, and whether the timeline has ended."""
    async with aclosing(cast(AsyncGenerator[Event | Gap, None], items)) as source:
        async for item in source:
            await line.send(encode(item))
            if isinstance(item, Gap):
                after = None  # what follows a gap is read from the beginning
                continue
            after = item.cursor
            if isinstance(item.fact, ENDS):
                return after, True
    return after, False
