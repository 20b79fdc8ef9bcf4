"""Following the log: one core subscription for the whole process, gaps found by the sequence and filled by direct get."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from trunkline.bus.direct import PAGE, DirectReader, Stored
from trunkline.bus.heeding import heeding
from trunkline.bus.log_life import LogLife
from trunkline.bus.patience import patiently
from trunkline.bus.streams import EVENTS
from trunkline.contracts import subjects
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.record import Event, Gap, read_told
from trunkline.telemetry.w3c import TRACEPARENT

BACKLOG: Final = 256
"""Messages kept for a slow reader; beyond it the reader goes back to reading pages, so it costs no memory."""
PAGE_BYTES: Final = 2 << 20
"""As stored, of what one page gives; what was said on one task may be a thousand times a quarter of a megabyte."""
WATCH: Final = 1.0
"""Seconds between two looks whether something was stored that never came by."""


class _Reader:
    """One follower's mailbox: what came by, and whether something may have been missed."""

    def __init__(self, filter_subject: str) -> None:
        self.filter = filter_subject
        self.prefix = filter_subject.removesuffix(">")
        self.missed = False
        self._box: deque[Stored] = deque()
        self._wake = asyncio.Event()

    def put(self, stored: Stored) -> None:
        if len(self._box) >= BACKLOG:
            self.miss()
        else:
            self._box.append(stored)
            self._wake.set()

    def miss(self) -> None:
        self._box.clear()
        self.missed = True
        self._wake.set()

    async def fresh(self, after: int) -> AsyncIterator[Stored]:
        """What comes by beyond `after`, until something was missed and pages must be read again."""
        while not self.missed:
            if not self._box:
                self._wake.clear()
                await self._wake.wait()
            elif (stored := self._box.popleft()).seq > after:
                yield stored
        self.missed = False


class Live:
    """All followers of this process behind one subscription."""

    def __init__(self, client: Client, js: JetStreamContext, direct: DirectReader, life: LogLife) -> None:
        self._client = client
        self._js = js
        self._direct = direct
        self._life = life
        self._epoch = life.epoch
        self._readers: dict[str, set[_Reader]] = {}
        self._last = 0
        self._listening = False
        self._starting = asyncio.Lock()

    async def _listen(self) -> None:
        """Subscribe, once and for the first follower: most services follow nothing, and hearing everything has its price.

        It goes on when that follower leaves meanwhile: the next one would do it again and hear everything twice, and nats-py drops the
        connection on the answer to a ping that nobody waits for any more.
        """
        if not self._listening:
            await asyncio.shield(self._begin())

    async def _begin(self) -> None:
        async with self._starting:
            if not self._listening:
                await patiently(self._subscribe)
                self._listening = True

    async def _subscribe(self) -> None:
        """What is stored from here on is seen or found missing."""
        await self._client.subscribe(subjects.ALL_LIVE, cb=self._on)
        await self._client.flush(timeout=5)
        await self._client.flush(timeout=5)  # the first may overtake the subscription in the client's own queue
        self._last = (await self._js.stream_info(EVENTS)).state.last_seq

    async def watch(self) -> None:
        """For ever: notice what was stored while nothing came by (the tail of an outage)."""
        while True:
            await asyncio.sleep(WATCH)
            if self._readers:
                with suppress(NatsError, TimeoutError):
                    await self._look()

    async def _look(self) -> None:
        seen = self._last
        newest = (await heeding(self._js.stream_info(EVENTS))).state.last_seq
        if self._last == seen and newest > seen:
            self.missed()
            self._last = newest

    def missed(self) -> None:
        """Something may have gone by unseen (a reconnect): every reader reads pages again from where it is."""
        for readers in self._readers.values():
            for reader in readers:
                reader.miss()

    async def _on(self, message: Msg) -> None:
        headers = message.headers or {}
        seq = int(headers.get("Nats-Sequence", 0))
        if seq <= self._last:
            return
        if seq != self._last + 1:
            self.missed()
        self._last = seq
        subject = message.subject.removeprefix(subjects.LIVE_PREFIX)
        stored = Stored(seq, subject, message.data, trace=headers.get(TRACEPARENT, ""))
        timeline = subject.rpartition(".")[0] + ".>"
        tenant = timeline[: timeline.find(".", 4)] + ".>"
        for readers in (self._readers.get(timeline), self._readers.get(tenant), self._readers.get(subjects.ALL_EVENTS)):
            for reader in readers or ():
                reader.put(stored)

    async def stored(self, filter_subject: str, after: int) -> AsyncIterator[Stored]:
        """Every record of a timeline, or of everything, beyond sequence `after`: history, then live, for ever."""
        reader = _Reader(filter_subject)
        self._readers.setdefault(filter_subject, set()).add(reader)
        try:
            await self._listen()
            while True:
                async for stored in self._direct.read(filter_subject, after + 1):
                    yield stored
                    after = stored.seq
                async for fresh in reader.fresh(after):
                    yield fresh
                    after = fresh.seq
        finally:
            self._drop(reader)

    def already(self, filter_subject: str, after: int) -> AsyncIterator[Stored]:
        """As `stored`, up to what is there at this moment."""
        return self._direct.read(filter_subject, after + 1)

    async def last_before(self, moment: datetime) -> int:
        """The sequence behind which everything lies that was stored at that moment or later."""
        last = (await patiently(lambda: self._js.stream_info(EVENTS))).state.last_seq  # before: what comes meanwhile must not count as old
        first = await self._direct.since(moment)
        return first - 1 if first else last

    def _drop(self, reader: _Reader) -> None:
        readers = self._readers[reader.filter]
        readers.discard(reader)
        if not readers:
            del self._readers[reader.filter]

    async def follow(self, tenant: TenantId, task: TaskId, after: Cursor | None, end: int | None = None) -> AsyncIterator[Event | Gap]:
        """The timeline of a task beyond `after`, fact by fact, to the record with sequence `end`, else for ever.

        A Gap comes first when something is lost for good.
        """
        start, gap, over = await self._start(after, end)
        if gap:
            yield gap
        if over:
            return
        async for stored in self.stored(subjects.timeline(tenant, task), max(start.seq - 1, 0)):
            for event in self._beyond(stored, start):
                yield event
            if stored.seq == end:
                return

    async def recent(self, tenant: TenantId, task: TaskId, after: Cursor | None) -> AsyncIterator[Event | Gap]:
        """As `follow`, up to what is stored at this moment."""
        start, gap, _ = await self._start(after, None)
        if gap:
            yield gap
        async for stored in self._direct.read(subjects.timeline(tenant, task), max(start.seq, 1)):
            for event in self._beyond(stored, start):
                yield event

    async def page(self, tenant: TenantId, task: TaskId, after: Cursor | None, limit: int) -> tuple[tuple[Event | Gap, ...], bool]:
        """What lies beyond `after` at this moment, and whether more lies there; a Gap first, as in `follow`.

        At most `limit` facts, and fewer where they are large.
        """
        start, gap, _ = await self._start(after, None)
        items: list[Event | Gap] = [gap] if gap else []
        size = 0
        async for stored in self._direct.read(subjects.timeline(tenant, task), max(start.seq, 1), min(limit + 2, PAGE)):
            size += len(stored.body)
            if len(items) > limit or (size > PAGE_BYTES and any(isinstance(item, Event) for item in items)):
                return tuple(items[:limit]), True
            items.extend(self._beyond(stored, start))
        if len(items) > limit:
            return tuple(items[:limit]), True
        return tuple(items), False

    async def _start(self, after: Cursor | None, end: int | None) -> tuple[Cursor, Gap | None, bool]:
        """Where to begin, what is lost, and whether nothing is left to come."""
        beginning, after = Cursor(self._epoch, 0), self._life.here(after) if after else None
        if after is None and end is None:
            return beginning, None, False
        state = (await patiently(lambda: self._js.stream_info(EVENTS))).state
        gone = end is not None and state.first_seq > end
        if after is None:
            return beginning, Gap(beginning, Cursor(self._epoch, state.first_seq)) if gone else None, gone
        kept = after.epoch == self._epoch and state.first_seq <= after.seq + 1 and after.seq <= state.last_seq
        if not kept:
            return beginning, Gap(after, Cursor(self._epoch, max(state.first_seq, 1))), gone
        return after, None, gone or (end is not None and after.seq > end)

    def _beyond(self, stored: Stored, start: Cursor) -> list[Event]:
        """Of the first record that is read, only what comes after `start`."""
        events = self.events(stored)
        return events if stored.seq > start.seq else [event for event in events if event.cursor > start]

    def events(self, stored: Stored) -> list[Event]:
        """The facts of one record, each with its own cursor."""
        tenant, task, part = subjects.parse_event(stored.subject)
        at, facts = read_told(stored.body)
        return [Event(Cursor(self._epoch, stored.seq, index), tenant, task, part, at, fact) for index, fact in enumerate(facts)]
