"""Says what the handlers of one task say: taken from any thread at once, sent in order from one loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final

from trunkline.contracts.agent import Item, Progress, Text
from trunkline.sdk.agents.gathering import Bounds, Gatherer

Send = Callable[[Sequence[Item]], Awaitable[None]]
EXCUSE: Final = 200
"""Bytes, generously."""
BLINK: Final = 0.004
"""Seconds that what is to go waits for the work to end."""
MOST_REST: Final = 64 << 10
"""Bytes that go with a report: a result may be beside them."""
_LEFT_OUT: Final = "{} things were left out here: they came faster than they could be told."


class Told:
    """Awaited, it returns when there is room for more; whoever says little need not wait."""

    __slots__ = ("room",)

    def __init__(self, room: Future[None] | None) -> None:
        self.room = room

    def __await__(self) -> Generator[Any, None, None]:
        if self.room is None:
            return asyncio.sleep(0).__await__()
        return asyncio.wrap_future(self.room).__await__()


class Speech:
    """What one task says. `pump` belongs to the loop that it was made in."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._gatherer: Gatherer[Item] = Gatherer(bounds or Bounds())
        self._lock = threading.Lock()
        self._loop = asyncio.get_running_loop()
        self._more = asyncio.Event()
        self._asleep = False
        self._closed = asyncio.Event()
        self.rest: Sequence[Item] = ()
        """What was said last, once `pump` is over: little enough to go with the report."""
        self.rooms: list[Future[None]] = []

    def add(self, item: Item) -> Told:
        """From any thread. What does not fit any more is counted, and told of in its place."""
        size = len(item.written())
        with self._lock:
            if self._gatherer.left_out and self._gatherer.fits(size + EXCUSE):
                for excuse in self._excuse():
                    self._gatherer.add(excuse, EXCUSE)
            self._gatherer.add(item, size, passing=isinstance(item, Progress))
            room: Future[None] | None = None
            if self._gatherer.full and not self._closed.is_set():
                room = Future()
                self.rooms.append(room)
            wake, self._asleep = self._asleep, False
        if wake:
            self._loop.call_soon_threadsafe(self._more.set)
        return Told(room)

    def close(self) -> None:
        """Nothing more will be said: what waits goes at once. For the loop's own thread."""
        with self._lock:
            self._closed.set()
        self._more.set()

    async def pump(self, send: Send) -> None:
        """Until it is closed and all is said, but for what is left as `rest`."""
        try:
            while await self._waited():
                await self._blink()
                items, few = self._next()
                if few and self._closed.is_set():
                    self.rest = items
                else:
                    await send(items)
                self._make_room()
        finally:
            self._make_room(all_of_it=True)

    async def _blink(self) -> None:
        """What is said at the very end of the work, or all of it where it takes no time, need not go for itself."""
        if not self._closed.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(BLINK):
                    await self._closed.wait()

    def _next(self) -> tuple[list[Item], bool]:
        """What goes next, and whether it is all there is, and little."""
        with self._lock:
            few = self._gatherer.bytes <= MOST_REST
            items = list(self._gatherer.batch(self._loop.time()))
            few = few and self._gatherer.empty
            return items + (self._excuse() if self._gatherer.empty else []), few

    async def _waited(self) -> bool:
        """Until something may go; False when nothing will any more."""
        while True:
            self._more.clear()
            with self._lock:
                if self._gatherer.empty and self._closed.is_set():
                    return False
                due = 0.0 if self._closed.is_set() else self._gatherer.due(self._loop.time())
                self._asleep = self._gatherer.empty
                empty = self._gatherer.empty
            if not empty and not due:
                return True
            try:
                async with asyncio.timeout(None if empty else due):
                    await self._more.wait()
            except TimeoutError:
                return True

    def _excuse(self) -> list[Item]:
        left, self._gatherer.left_out = self._gatherer.left_out, 0
        return [Text(text=_LEFT_OUT.format(left), is_error=True)] if left else []

    def _make_room(self, *, all_of_it: bool = False) -> None:
        with self._lock:
            if self._gatherer.full and not all_of_it:
                return
            rooms, self.rooms = self.rooms, []
        for room in rooms:
            if room.set_running_or_notify_cancel():
                room.set_result(None)
