"""Gathering what an agent says before it is stored: at once after silence, else every 30 ms or 16 KiB."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from trunkline.contracts.run import AgentOutput

PAUSE: Final = 0.03
"""Seconds from one store to the next: an agent that says 20 lines a second never waits, one that floods fills few records."""
ENOUGH: Final = 16 << 10
MOST: Final = 128 << 10
"""A record holds no more than about this; the next line goes into the next record."""
BOUND: Final = 512 << 10
"""Bytes waiting to be stored; beyond it the reader of the output waits."""
_OVERHEAD: Final = 200


class Gatherer:
    """Collects groups of outputs; a group (the outputs of one line) is never torn apart."""

    def __init__(self, store: Callable[[Sequence[AgentOutput]], Awaitable[None]]) -> None:
        self._store = store
        self._groups: deque[tuple[int, Sequence[AgentOutput]]] = deque()
        self._size = 0
        self._news = asyncio.Event()
        self._enough = asyncio.Event()
        self._room = asyncio.Event()
        self._closed = False
        self._stored = asyncio.Event()
        self._flushed_at = -PAUSE

    async def put(self, group: Sequence[AgentOutput]) -> None:
        """Add the outputs of one line; waits while too much is waiting already."""
        while self._size > BOUND:
            self._room.clear()
            await self._room.wait()
        size = sum(len(output.text) + len(output.display) + _OVERHEAD for output in group)
        self._groups.append((size, group))
        self._size += size
        self._news.set()
        if self._size >= ENOUGH:
            self._enough.set()

    async def close(self) -> None:
        """Nothing more will come; returns when all is stored."""
        self._closed = True
        self._news.set()
        self._enough.set()
        await self._stored.wait()

    async def run(self) -> None:
        """Store what comes until closed."""
        while self._groups or not self._closed:
            if not self._groups:
                self._news.clear()
                await self._news.wait()
                continue
            await self._gather()
            self._flushed_at = time.monotonic()
            await self._store(self._batch())
        self._stored.set()

    async def _gather(self) -> None:
        """After silence go on at once; in a burst let a little more come."""
        wait = self._flushed_at + PAUSE - time.monotonic()
        if wait > 0 and self._size < ENOUGH and not self._closed:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._enough.wait()
        self._enough.clear()

    def _batch(self) -> list[AgentOutput]:
        batch: list[AgentOutput] = []
        size = 0
        while self._groups and (not batch or size + self._groups[0][0] <= MOST):
            group_size, group = self._groups.popleft()
            batch.extend(group)
            size += group_size
        self._size -= size
        self._room.set()
        return batch
