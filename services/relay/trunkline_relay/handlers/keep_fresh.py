"""No read is older than the writes before it: a query waits until the views hold what the log held after the query came."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Final

from trunkline.contracts.errors import Broken, Unavailable

MOST_WAITING: Final = 10_000
ASK_WITHIN: Final = 2.0
ASK_EVERY: Final = 0.003
"""Seconds between two askings while many wait; a query that comes alone does not wait for it."""

ASK_AGAIN: Final = 5.0
"""Seconds until whoever waits for all that there is asks anew what that is."""
PAUSE: Final = 0.2

_Waiter = asyncio.Future[None]


class Freshness:
    """Asks the log for its end once for all queries that wait at that moment, and wakes them as the views get there."""

    def __init__(self, last_seq: Callable[[], Awaitable[int]], folded: int) -> None:
        self._last_seq = last_seq
        self._folded = folded
        self._asking: list[_Waiter] = []
        self._wanted = asyncio.Event()
        self._behind: list[tuple[int, int, _Waiter]] = []
        self.behind = asyncio.Event()
        """Set while somebody waits for the views, or they need not wait for more."""
        self._number = count()

    async def settled(self, deadline: float) -> None:
        """Return once everything stored before this call is folded. Raises Unavailable after `deadline` seconds."""
        if len(self._asking) + len(self._behind) >= MOST_WAITING:
            raise Unavailable("too many reads wait already; try again in a moment", code="READS_WAITING")
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        self._asking.append(waiter)
        self._wanted.set()
        try:
            async with asyncio.timeout(deadline):
                await waiter
        except TimeoutError:
            raise Unavailable("the views are behind the log; try again in a moment", code="VIEWS_BEHIND") from None

    async def caught_up(self, deadline: float, every: float = ASK_AGAIN) -> None:
        """As `settled`, of whatever end the log has by then: what a nats-server had not acknowledged when it died is gone with it, and who
        waits for that waits in vain."""
        until = asyncio.get_running_loop().time() + deadline
        while True:
            left = until - asyncio.get_running_loop().time()
            try:
                return await self.settled(min(every, left))
            except Unavailable:
                if left <= every:
                    raise
                await asyncio.sleep(min(every, PAUSE))

    def advanced(self, folded: int) -> None:
        """The views now hold everything up to sequence `folded`."""
        self._folded = folded
        while self._behind and self._behind[0][0] <= folded:
            _wake(heapq.heappop(self._behind)[2])
        if not self._behind:
            self.behind.clear()

    async def run(self) -> None:
        """Ask, for as long as somebody wants to know. Raises Broken when the log turns out to be another one."""
        now = asyncio.get_running_loop().time
        asked_at = -ASK_EVERY
        while True:
            await self._wanted.wait()
            await asyncio.sleep(max(asked_at + ASK_EVERY - now(), 0))
            asked_at = now()
            self._wanted.clear()
            await self._ask()

    async def _ask(self) -> None:
        # Whoever comes while the log is being asked belongs to the next asking: this answer may be older than their writes.
        asking, self._asking = self._asking, []
        folded = self._folded
        try:
            async with asyncio.timeout(ASK_WITHIN):
                end = await self._last_seq()
        except Exception as error:
            _refuse(asking, error)
        else:
            self._check(asking, end, folded)
            self._sort(asking, end)

    def _check(self, asking: list[_Waiter], end: int, folded: int) -> None:
        # `folded` is from before the asking: while the answer travels, the views may well get further than it says.
        if 0 < end < folded:
            _refuse(asking, None)
            raise Broken("the log ends before what is folded already: it was replaced; the views are made anew", code="LOG_REPLACED")

    def _sort(self, asking: list[_Waiter], end: int) -> None:
        for waiter in asking:
            if end <= self._folded:
                _wake(waiter)
            elif not waiter.done():
                heapq.heappush(self._behind, (end, next(self._number), waiter))
                self.behind.set()


def _wake(waiter: _Waiter) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _refuse(asking: list[_Waiter], cause: Exception | None) -> None:
    for waiter in asking:
        if not waiter.done():
            refusal = Unavailable("the log does not say where it ends; try again in a moment", code="LOG_AWAY")
            refusal.__cause__ = cause
            waiter.set_exception(refusal)
