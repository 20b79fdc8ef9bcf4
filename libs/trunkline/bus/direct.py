"""Reading stored messages in pages by direct get: no consumer, one reply inbox for the whole process."""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, cast

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from trunkline.bus.away import BusAway
from trunkline.bus.patience import patiently
from trunkline.bus.streams import EVENTS
from trunkline.contracts.record import Record
from trunkline.telemetry.w3c import TRACEPARENT

PAGE: Final = 256
PAGE_BYTES: Final = 1 << 20
PAGES_AT_ONCE: Final = 4
"""Of a whole process: with both bounds the server never holds more for us than it takes before it cuts a slow connection."""
KNOWN: Final = 1024
KNOWN_BYTES: Final = 1 << 14
"""What is larger is rare, and would fill memory."""
PAGE_DEADLINE: Final = 4.0
WITHIN: Final = 8.0
"""Seconds for one page: whoever asked a gateway for it waits ten."""
TRIES: Final = 6
LAG: Final = 5.0
"""Seconds for which a replica may lag behind its leader before a reader is sent away."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One message of the log as it lies there; its record is read only when asked for."""

    seq: int
    subject: str
    body: bytes
    id: str = ""
    """What its writer named it, where that was asked of the store."""
    own: Record | None = field(default=None, compare=False)
    """The record itself, where this process wrote it a moment ago, or has read it."""
    trace: str = ""
    """The `traceparent` that its writer stored it with, where that was asked of the store."""
    headers: Mapping[str, str] | None = field(default=None, compare=False, repr=False)
    """As nats-server gives them, its own among them, where it was read from a page."""

    @property
    def record(self) -> Record:
        if self.own is None:
            object.__setattr__(self, "own", Record.model_validate_json(self.body))  # once, whoever asks: it is always the same
        return cast("Record", self.own)


class KnownRecords:
    """What this process wrote or overheard a moment ago: when it is delivered, it is not read again."""

    def __init__(self) -> None:
        self._by_seq: OrderedDict[int, Stored] = OrderedDict()

    def know(self, stored: Stored) -> None:
        if len(stored.body) <= KNOWN_BYTES:
            self._by_seq[stored.seq] = stored
            if len(self._by_seq) > KNOWN:
                self._by_seq.popitem(last=False)

    def stored(self, seq: int, subject: str, body: bytes) -> Stored:
        """What was delivered; byte for byte the same as what is known, or it is read."""
        known = self._by_seq.get(seq)
        return known if known and (known.subject, known.body) == (subject, body) else Stored(seq, subject, body)


@dataclass(slots=True)
class _Page:
    messages: list[Stored] = field(default_factory=list)
    pending: int = 0
    error: str = ""
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, message: Msg) -> None:
        headers = message.headers or {}
        status = headers.get("Status")
        if "Nats-Last-Sequence" in headers:
            self._follow_on(int(headers["Nats-Last-Sequence"]))
        if status is None:
            name = headers.get("Nats-Msg-Id", "")
            trace = headers.get(TRACEPARENT, "")
            self.messages.append(
                Stored(int(headers["Nats-Sequence"]), headers["Nats-Subject"], message.data, name, trace=trace, headers=headers)
            )
            return
        self.pending = int(headers.get("Nats-Num-Pending") or 0)
        if status not in ("204", "404"):
            self.error = f"{status} {headers.get('Description', '')}"
        self.done.set()

    def _follow_on(self, before: int) -> None:
        """Each message names the one before it: a page that a lost connection tore has a hole, and may still come to its end mark."""
        if before != (self.messages[-1].seq if self.messages else 0):
            self.error = "torn"


class DirectReader:
    """Pages of one filter from one sequence on, in order."""

    def __init__(self, client: Client, js: JetStreamContext, *, replicated: bool, stream: str = EVENTS) -> None:
        self._client = client
        self._js = js
        self._stream = stream
        self._replicated = replicated
        self._inbox = client.new_inbox()
        self._pages: dict[str, _Page] = {}
        self._count = 0
        self._turns = asyncio.Semaphore(PAGES_AT_ONCE)

    async def start(self) -> None:
        await self._client.subscribe(f"{self._inbox}.*", cb=self._on)
        await patiently(lambda: self._client.flush(timeout=5))

    async def _on(self, message: Msg) -> None:
        page = self._pages.get(message.subject.rpartition(".")[2])
        if page is not None:
            page.take(message)

    async def read(self, filter_subject: str, first: int, batch: int = PAGE) -> AsyncIterator[Stored]:
        """Every stored message that matches, with sequence >= `first`; a smaller `batch` for whoever wants no more than that.

        Raises Unavailable when the bus stays silent.
        """
        end = await self._newest(filter_subject) if self._replicated else 0
        late: float | None = None
        page, ahead = await self._page(filter_subject, first, batch), None
        try:
            while True:
                half, first = len(page.messages) // 2, page.messages[-1].seq + 1 if page.messages else first
                for stored in page.messages[:half]:
                    yield stored
                if page.pending and page.messages and batch == PAGE:  # the server finds the next one while we work on this
                    ahead = self._ahead(filter_subject, first, batch)
                for stored in page.messages[half:]:
                    yield stored
                if ahead is None and first > end:
                    return
                if ahead is None:
                    late = late or time.monotonic() + LAG
                    await self._lag(late)
                page, ahead = await (ahead or self._page(filter_subject, first, batch)), None
        finally:
            if ahead:
                ahead.cancel()

    def _ahead(self, filter_subject: str, first: int, batch: int) -> asyncio.Task[_Page]:
        asking = asyncio.get_running_loop().create_task(self._page(filter_subject, first, batch))
        asking.add_done_callback(lambda done: done.cancelled() or done.exception())  # whoever has left does not hear what became of it
        return asking

    async def last(self, subject: str) -> Stored | None:
        """The newest record of `subject`. Raises BusAway."""
        try:
            found = await patiently(lambda: self._js.get_last_msg(self._stream, subject, direct=not self._replicated))
        except NotFoundError:
            return None
        return Stored(found.seq or 0, subject, found.data or b"", trace=(found.headers or {}).get(TRACEPARENT, ""))

    async def first(self, subject: str) -> Stored | None:
        """The oldest record of `subject` that is kept. Raises BusAway."""
        page = await self._page(subject, 1, batch=1)
        return page.messages[0] if page.messages else None

    async def since(self, moment: datetime) -> int | None:
        """The sequence of the first message stored at that moment or later; nothing when there is none. Raises BusAway."""
        page = await self._answered({"start_time": moment.astimezone(UTC).isoformat().replace("+00:00", "Z"), "batch": 1})
        return page.messages[0].seq if page.messages else None

    async def count(self, filter_subject: str) -> int:
        """How many messages match, at a replica that may lag. Raises BusAway."""
        page = await self._page(filter_subject, 1, batch=1)
        return len(page.messages) + page.pending

    async def _newest(self, filter_subject: str) -> int:
        """As the leader knows it: any replica answers a direct get, also one that lags behind."""
        newest = await self.last(filter_subject)
        return newest.seq if newest else 0

    async def _lag(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise BusAway("a replica of the log lags behind for too long; try again in a moment", code="LOG_UNREADABLE")
        await asyncio.sleep(0.05)

    async def _page(self, filter_subject: str, first: int, batch: int = PAGE) -> _Page:
        return await self._answered({"seq": max(first, 1), "next_by_subj": filter_subject, "batch": batch, "max_bytes": PAGE_BYTES})

    async def _answered(self, wish: Mapping[str, object]) -> _Page:
        problem, until = "", time.monotonic() + WITHIN
        for attempt in range(TRIES):
            async with self._turns:
                page = await self._ask(wish)
            if page is not None and not page.error:
                return page
            problem = page.error if page else "no answer"
            await asyncio.sleep(0.1 * 2**attempt)
            if time.monotonic() > until:
                break
        raise BusAway(f"the log cannot be read now ({problem}); try again in a moment", code="LOG_UNREADABLE")

    async def _ask(self, wish: Mapping[str, object]) -> _Page | None:
        self._count += 1
        token = str(self._count)
        page = self._pages[token] = _Page()
        try:
            await self._client.publish(f"$JS.API.DIRECT.GET.{self._stream}", json.dumps(wish).encode(), reply=f"{self._inbox}.{token}")
            async with asyncio.timeout(PAGE_DEADLINE):
                await page.done.wait()
            return page
        except TimeoutError:
            return None
        finally:
            del self._pages[token]
