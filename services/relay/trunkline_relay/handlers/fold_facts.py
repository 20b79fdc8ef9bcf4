"""Folding: everything that happened becomes views, in order, batch by batch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

import structlog

from trunkline.contracts import subjects
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.record import Told, read_told
from trunkline_relay.model.changes import changed, types_of
from trunkline_relay.ports import Log, Stored, Views

log = structlog.get_logger()

SIP: Final = 12
"""Messages per transaction: some two milliseconds, for so long all else that runs in the loop waits."""
REST: Final = 3.0
"""So many times as long as a sip took is the pause after it, while nobody reads."""
LARGEST_BATCH: Final = 100
"""Messages per transaction while so many wait: to catch up goes before what else runs in the loop."""
GATHER: Final = 0.1
"""Seconds that what was stored waits for company while nobody reads: one transaction costs the views as much as several tasks, and what
happens to a task in one batch is written once."""
OUTPUT: Final = "output"
"""What agents say makes most of the log and changes no view."""


class Readers(Protocol):
    """Whoever waits for the views."""

    @property
    def behind(self) -> asyncio.Event:
        """Set while somebody does; set here, where a whole batch need not wait any more."""
        ...

    def advanced(self, folded: int) -> None:
        """The views hold everything up to sequence `folded`."""
        ...


Tell = Callable[[Sequence[Stored], int], None]
"""Told of each batch that the views hold now, and since when it was worked on, in nanoseconds."""


def _nobody(_: Sequence[Stored], __: int) -> None:
    """Where nobody wants to know."""


class Folding:
    """One reader of the log and one writer of the views, with a bounded queue between them."""

    def __init__(self, log: Log, views: Views, epoch: str, readers: Readers, tell: Tell = _nobody) -> None:
        self._log = log
        self._views = views
        self._epoch = epoch
        self._readers = readers
        self._tell = tell
        self._queue: asyncio.Queue[Stored] = asyncio.Queue(2 * LARGEST_BATCH)

    async def run(self) -> None:
        """Fold for ever, from the checkpoint on."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._read())
            both.create_task(self._write())

    async def _read(self) -> None:
        async for stored in self._log.follow(self._views.checkpoint):
            await self._queue.put(stored)
            if self._queue.qsize() >= LARGEST_BATCH:
                self._readers.behind.set()

    async def _write(self) -> None:
        while True:
            batch = [await self._queue.get()]
            await self._company()
            left = len(batch) + self._queue.qsize()
            while left > 0:
                batch += self._sip(len(batch))
                left -= len(batch)
                await self._rest(self._fold(batch))
                batch = []

    def _sip(self, taken: int) -> list[Stored]:
        waiting = taken + self._queue.qsize()
        most = LARGEST_BATCH if waiting >= LARGEST_BATCH else SIP
        return [self._queue.get_nowait() for _ in range(min(most, waiting) - taken)]

    def _fold(self, batch: Sequence[Stored]) -> float:
        """Returns the seconds that it took."""
        began, at = time.perf_counter(), time.time_ns()
        fold_batch(self._views, batch, self._epoch)
        self._tell(batch, at)
        self._readers.advanced(batch[-1].seq)
        return time.perf_counter() - began

    async def _rest(self, took: float) -> None:
        """Leave the loop to others, for a moment or, while nobody reads and not too much waits, for longer."""
        await asyncio.sleep(0)
        if self._queue.qsize() < LARGEST_BATCH:
            with suppress(TimeoutError):
                async with asyncio.timeout(took * REST):
                    await self._readers.behind.wait()

    async def _company(self) -> None:
        """A moment for more to come, until there is a batch or somebody reads."""
        if self._queue.qsize() < LARGEST_BATCH - 1:
            with suppress(TimeoutError):
                async with asyncio.timeout(GATHER):
                    await self._readers.behind.wait()


def fold_batch(views: Views, batch: Sequence[Stored], epoch: str) -> None:
    """Bring the views from before the batch to after it, in one transaction."""
    told = (each for stored in batch if (each := _told(stored, epoch)))
    views.keep(changed(told, views.task, views.approval, views.dispatch), batch[-1].seq)


def _told(stored: Stored, epoch: str) -> Told | None:
    """None for what changes no view, and what nobody can read."""
    try:
        names = subjects.parse_event(stored.subject)
        if names.part == OUTPUT:
            return None
        at, facts = read_told(stored.body, types_of(names.part))
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        # One message that nobody can read must not hide every task behind it.
        log.error("relay.fact_unreadable", seq=stored.seq, subject=stored.subject, error=str(error)[:500])
        return None
    return Told(Cursor(epoch, stored.seq), *names, at, facts) if facts else None
