"""Carries a timeline that goes on to all who read it: encoded once, written straight to whoever keeps up, read again by whoever lags.

A reader first reads what is stored, then takes a seat. One task follows the timeline for all seats, so that an event costs one write for
each of them and no turn of a task. A reader whose connection takes no more leaves its seat and reads pages until it has caught up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Protocol, cast

from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import DomainError
from trunkline.contracts.record import Event, Gap
from trunkline.contracts.task import ENDS
from trunkline_gateway.ports import Feed, Timeline

KEPT: Final = 256 << 10
"""Bytes of the newest frames that are kept for whoever takes a seat a moment later."""
WAITING: Final = 1 << 20
"""Bytes that may wait to be written to all; beyond it the timeline is followed no further until they are."""
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
        """Writes at once; False, and nothing of it is written, when the reader lags."""
        ...


class Burst:
    """Frames that are written together, ready for every reader."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.chunk = b"%x\r\n%b\r\n" % (len(data), data)
        """As a chunk of HTTP/1.1."""


@dataclass(frozen=True, slots=True)
class _Frame:
    at: Cursor
    data: bytes
    ends: bool


class _Kept:
    """The newest frames, all behind `before` up to `at`; None stands for the beginning."""

    def __init__(self, before: Cursor | None) -> None:
        self._before = before
        self.at = before
        self.ends = False
        self._frames: deque[_Frame] = deque()
        self._size = 0

    def add(self, frame: _Frame) -> None:
        self.at, self.ends = frame.at, frame.ends
        self._frames.append(frame)
        self._size += len(frame.data)
        while self._size > KEPT:
            gone = self._frames.popleft()
            self._size -= len(gone.data)
            self._before = gone.at

    def covers(self, at: Cursor | None) -> bool:
        """Whether all beyond a reader's place is here: a crowd that comes at once reads the log once."""
        if at is None or self.at is None:
            return self._before is None and self.at is not None
        return at.epoch == self.at.epoch and (self._before is None or self._before <= at) and at <= self.at

    def behind(self, at: Cursor | None) -> list[_Frame] | None:
        """What lies beyond a reader's place; None when not all of it is here. A reader may be ahead of us."""
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
        self._failed: BaseException | None = None
        self._readers = 0

    async def carry(self, line: Line, after: Cursor | None) -> None:
        """To one reader all beyond `after`, to the end. Raises DomainError, ConnectionResetError."""
        self._readers += 1
        try:
            at_hand, over = self._running is not None and self._kept.covers(after), False
            while not over:
                if not at_hand:
                    after, over = await self._read(line, after)
                line.flush()
                if not over:
                    after, over = await self._sit(line, after)
                at_hand = False  # who lags reads, for that waits until the reader has taken it
        finally:
            self._readers -= 1
            if not self._readers:
                self._rest()

    async def _read(self, line: Line, after: Cursor | None) -> tuple[Cursor | None, bool]:
        """What is stored; where the reader is then, and whether the timeline has ended."""
        read = _Kept(after)
        async with aclosing(cast(AsyncGenerator[Event | Gap, None], self._feed.recent(self.timeline, after))) as items:
            async for item in items:
                data = self._encode(item)
                await line.send(data)
                if isinstance(item, Gap):
                    after, read = None, _Kept(None)  # what follows a gap is read from the beginning
                    continue
                after = item.cursor
                read.add(_Frame(after, data, isinstance(item.fact, ENDS)))
                if read.ends:
                    return after, True
        if self._running is None:
            self._begin(read)
        return after, False

    async def _sit(self, line: Line, at: Cursor | None) -> tuple[Cursor | None, bool]:
        """What comes, while the reader keeps up; as `_read`."""
        if self._failed is not None:
            raise self._failed
        missed = self._kept.behind(at)
        if missed is None or (missed and not line.push(Burst(b"".join(frame.data for frame in missed)))):
            return at, False
        at = missed[-1].at if missed else at
        if self._kept.ends:
            return at, True
        seat = _Seat(line, at, asyncio.get_running_loop().create_future())
        self._seats.add(seat)
        try:
            ended = await seat.left
            return seat.at, ended
        finally:
            self._seats.discard(seat)

    def _begin(self, read: _Kept) -> None:
        """From where the first reader is."""
        self._kept = read
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
            self._break(errors.exceptions[0])

    def _break(self, error: BaseException) -> None:
        self._failed = error
        self._over(self)
        for seat in self._seats:
            if not seat.left.done():
                seat.left.set_exception(error)

    async def _follow(self, at: Cursor | None) -> None:
        ended = False
        async with aclosing(cast(AsyncGenerator[Event | Gap, None], self._feed.follow(self.timeline, at))) as items:
            async for item in items:
                if isinstance(item, Event):
                    ended = isinstance(item.fact, ENDS)
                    await self._put(_Frame(item.cursor, self._encode(item), ended))
                if ended:
                    return

    async def _put(self, frame: _Frame) -> None:
        self._fresh.append(frame)
        self._fresh_size += len(frame.data)
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
            if fresh:
                await self._write(fresh)

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


class Broadcasts:
    """Every live timeline that somebody reads in the words of one dialect."""

    def __init__(self, feed: Feed, encode: Callable[[Timeline], Encode]) -> None:
        self._feed = feed
        self._encode = encode
        self._live: dict[Timeline, Broadcast] = {}

    def carry(self, line: Line, timeline: Timeline, after: Cursor | None) -> Awaitable[None]:
        """To one reader all beyond `after`, to the end; to be awaited at once. Raises DomainError, ConnectionResetError."""
        found = self._live.get(timeline)
        if found is None:
            found = self._live[timeline] = Broadcast(self._feed, timeline, self._encode(timeline), self._over)
        return found.carry(line, after)

    def _over(self, broadcast: Broadcast) -> None:
        if self._live.get(broadcast.timeline) is broadcast:
            del self._live[broadcast.timeline]
