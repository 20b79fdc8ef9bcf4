"""Tells what was said on a channel once more at its own pace, faster or slower: as far apart as it was when it happened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic
from typing import Final, cast

from trunkline.contracts.cursor import Cursor
from trunkline.contracts.ids import TenantId
from trunkline_gateway.ports import Happenings, Passage
from trunkline_gateway.usecases.replay import Beat
from trunkline_gateway.usecases.telling import Place, Spoken, Teller

PAGE: Final = 32
"""Messages that are read at once: a reader of a slow replay holds them for hours."""


@dataclass(frozen=True, slots=True)
class Past:
    """What is to be told again: all beyond `at` on these topics, so many times as fast."""

    at: Place
    topics: frozenset[str]
    speed: float


@dataclass(frozen=True, slots=True)
class Retelling:
    """For one reader; `passes` bounds how many read the log at once, and is not held while a reader waits."""

    source: Happenings
    teller: Teller
    passes: asyncio.Semaphore
    clock: Callable[[], float] = monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def history(self, tenant: TenantId, past: Past) -> AsyncGenerator[Spoken, None]:
        """Each message when it is due, also what is stored meanwhile, until the reader has caught up. Raises Unavailable."""
        beat, read = Beat(past.speed, self.clock, self.sleep), record_before(past.at)
        while True:
            page, read = await self._page(tenant, past, read)
            if not page:
                return
            for spoken in page:
                await beat.until(spoken.at)
                yield spoken

    async def _page(self, tenant: TenantId, past: Past, read: Cursor) -> tuple[list[Spoken], Cursor]:
        """The next messages beyond the record `read`, and the last record that they were looked for in; none at the end of the log."""
        page: list[Spoken] = []
        passages = cast(AsyncGenerator[Passage, None], self.source.all_recent(tenant, read))
        async with self.passes, aclosing(passages) as records:
            async for record in records:
                read = record.at
                told = await self.teller.told(record)
                page += [spoken for spoken in told if spoken.place > past.at and spoken.message.topic in past.topics]
                if len(page) >= PAGE:
                    break
        return page, read


def record_before(at: Place) -> Cursor:
    """The record before the one that the place is in: of that one the later messages may be missing."""
    return Cursor(at.cursor.epoch, max(at.cursor.seq - 1, 0))
