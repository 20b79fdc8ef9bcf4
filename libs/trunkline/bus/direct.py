"""Reading stored messages in pages by direct get: no consumer, one reply inbox for the whole process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg

from trunkline.bus.publish import BusAway
from trunkline.bus.streams import EVENTS
from trunkline.contracts.record import Record

PAGE: Final = 256
PAGE_DEADLINE: Final = 5.0
TRIES: Final = 6


@dataclass(frozen=True, slots=True)
class Stored:
    """One message of the log as it lies there; its record is read only when asked for."""

    seq: int
    subject: str
    body: bytes
    id: str = ""
    """What its writer named it, where that was asked of the store."""

    @property
    def record(self) -> Record:
        return Record.model_validate_json(self.body)


@dataclass(slots=True)
class _Page:
    messages: list[Stored] = field(default_factory=list)
    pending: int = 0
    error: str = ""
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, message: Msg) -> None:
        headers = message.headers or {}
        status = headers.get("Status")
        if status is None:
            name = headers.get("Nats-Msg-Id", "")
            self.messages.append(Stored(int(headers["Nats-Sequence"]), headers["Nats-Subject"], message.data, name))
            return
        self.pending = int(headers.get("Nats-Num-Pending") or 0)
        self.error = "" if status in ("204", "404") else f"{status} {headers.get('Description', '')}"
        self.done.set()


class DirectReader:
    """Pages of one filter from one sequence on, in order."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inbox = client.new_inbox()
        self._pages: dict[str, _Page] = {}
        self._count = 0

    async def start(self) -> None:
        await self._client.subscribe(f"{self._inbox}.*", cb=self._on)
        await self._client.flush(timeout=5)

    async def _on(self, message: Msg) -> None:
        page = self._pages.get(message.subject.rpartition(".")[2])
        if page is not None:
            page.take(message)

    async def read(self, filter_subject: str, first: int) -> AsyncIterator[Stored]:
        """Every stored message that matches, with sequence >= `first`. Raises Unavailable when the bus stays silent."""
        while True:
            page = await self._page(filter_subject, first)
            for stored in page.messages:
                yield stored
            if not page.pending or not page.messages:
                return
            first = page.messages[-1].seq + 1

    async def _page(self, filter_subject: str, first: int) -> _Page:
        problem = ""
        for attempt in range(TRIES):
            page = await self._ask(filter_subject, first)
            if page is not None and not page.error:
                return page
            problem = page.error if page else "no answer"
            await asyncio.sleep(0.1 * 2**attempt)
        raise BusAway(f"the log cannot be read now ({problem}); try again in a moment", code="LOG_UNREADABLE")

    async def _ask(self, filter_subject: str, first: int) -> _Page | None:
        self._count += 1
        token = str(self._count)
        page = self._pages[token] = _Page()
        wish = json.dumps({"seq": max(first, 1), "next_by_subj": filter_subject, "batch": PAGE}).encode()
        try:
            await self._client.publish(f"$JS.API.DIRECT.GET.{EVENTS}", wish, reply=f"{self._inbox}.{token}")
            async with asyncio.timeout(PAGE_DEADLINE):
                await page.done.wait()
            return page
        except TimeoutError:
            return None
        finally:
            del self._pages[token]
