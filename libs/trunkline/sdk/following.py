"""Follows a stream over its breaks, for programs that are asynchronous themselves."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from time import monotonic
from types import TracebackType
from typing import Generic, Self, TypeVar

from trunkline.sdk import errors
from trunkline.sdk.answering import Answer, Lost
from trunkline.sdk.calls import Feed
from trunkline.sdk.resuming import Place, Trying, comes_back
from trunkline.sdk.retrying import Patience
from trunkline.sdk.sse import EventReader, ServerEvent, TooLargeEventError
from trunkline.sdk.wire import Connection, Wire

T = TypeVar("T")


class AsyncStream(Generic[T]):
    """Every event once and in order, to the last; a connection that breaks is resumed where it broke.

    `last_event_id` is that of the event that was handed out last: another stream may go on from it. Waiting for the next event may be
    cancelled and begun again; nothing is lost by that. Iterating raises TrunklineError when the gateway refuses, or stays away too long.
    """

    def __init__(self, wire: Wire, feed: Feed[T], patience: Patience, give_up: float) -> None:
        self._connection: Connection | None = None
        self.last_event_id = feed.after
        self._wire = wire
        self._feed = feed
        self._place = Place(feed.after)
        self._trying = Trying(patience, give_up)
        self._reader = EventReader()
        self._ready: deque[tuple[str, T]] = deque()
        self._rest = 0.0
        self._began = 0.0
        self._came = 0
        self._known_over = self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        await self.fill()
        found = self.taken()
        if found is None:
            raise StopAsyncIteration
        return found

    async def fill(self) -> None:
        """Wait until something can be taken, or nothing will come any more."""
        while not self._ready and not self._ended:
            if self._connection is None:
                await self._connect()
            else:
                await self._read(self._connection)

    def taken(self) -> T | None:
        """The next event that is here already."""
        if not self._ready:
            return None
        id, event = self._ready.popleft()
        self.last_event_id = id or self.last_event_id
        return event

    def close(self) -> None:
        self._ended = True
        self._ready.clear()
        self._drop()

    async def aclose(self) -> None:
        self.close()

    def __del__(self) -> None:
        """Whoever leaves a loop by `break` has not to think of a connection."""
        if self._connection is not None:
            self._connection.abandon()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    async def _connect(self) -> None:
        await asyncio.sleep(self._rest)
        self._began, self._came, self._reader = monotonic(), 0, EventReader()
        came = await self._wire.open(self._feed, self._place.seen)
        if isinstance(came, Connection):
            self._connection = came
        elif isinstance(came, Answer) and not comes_back(came):
            raise errors.refused(came, self._wire.where(self._feed))
        else:
            self._again(came)

    async def _read(self, connection: Connection) -> None:
        chunk = await connection.read()
        if isinstance(chunk, Lost):
            self._drop()
            self._again(chunk)
        elif chunk:
            self._take(chunk)
        elif self._reader.settled:
            self._drop()
            await self._closed()
        else:
            self._drop()
            self._again(Lost("the stream broke off", sent=True))

    def _take(self, chunk: bytes) -> None:
        try:
            events = self._reader.feed(chunk)
        except TooLargeEventError:
            self.close()
            raise errors.unreadable(Answer(200), self._wire.where(self._feed)) from None
        for came in events:
            if not self._ended:
                self._take_one(came)

    def _take_one(self, came: ServerEvent) -> None:
        self._came += 1
        if not self._place.passes(came.id):
            return
        event = self._feed.parse(came)
        if event is None:
            return
        if self._feed.is_gap(event):
            self._place.lost()
        self._ready.append((came.id, event))
        if self._feed.last(event):
            self._ended = True
            self._drop()

    async def _closed(self) -> None:
        """In order, and without a last event: a gateway that stops does so, and one that has nothing more to tell."""
        if self._feed.over is None or (self._known_over and not self._came):
            self._ended = True
            return
        if not self._came:
            self._known_over = await self._is_over()
        self._again(None)

    async def _is_over(self) -> bool:
        """Raises what is no passing trouble."""
        assert self._feed.over is not None
        try:
            return await self._wire.ask(self._feed.over)
        except (errors.UnreachableError, errors.RateLimitedError, errors.ServerError):
            return False

    def _again(self, came: Answer | Lost | None) -> None:
        """Raises TrunklineError when it has gone on for too long."""
        now = monotonic()
        self._trying.lived(self._began, now, self._came)
        seconds = self._trying.pause(now, came if isinstance(came, Answer) else None, random.random())
        if seconds is None:
            raise self._given_up(came)
        self._rest = 0.0 if self._known_over and came is None else seconds

    def _given_up(self, came: Answer | Lost | None) -> errors.TrunklineError:
        where = self._wire.where(self._feed)
        if isinstance(came, Answer):
            return errors.refused(came, where)
        return errors.lost(came or Lost("it closes the stream again and again before it is over", sent=True), where)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
