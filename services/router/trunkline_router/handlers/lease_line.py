"""Agents that wait for work, pool by pool: who has waited longest is given the next task."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Final, Protocol

import structlog

from trunkline.contracts.agent import Claim, Leased
from trunkline.contracts.errors import Unavailable
from trunkline.contracts.ids import TenantId
from trunkline.contracts.subjects import AgentCall
from trunkline.runtime.alongside import alongside
from trunkline_router.handlers.lease_rest import Resting, rest_s
from trunkline_router.ports import Handed, Handing, HandsOf

log = structlog.get_logger()

LINGER: Final = 5.0
"""Seconds for which a line is kept open when nobody waits: agents come again at once."""
PAUSE: Final = 0.5
GONE: Final = 0.01
"""Seconds until what came a moment after the last who waited had gone is handed out again."""
LOOKED_THROUGH: Final = 16
"""Tasks fetched together where those before were nobody's here."""
LOOKED_AT_AGAIN: Final = 4
"""Which time it comes of what rests here a task is read once more: it may be wanted by nobody at all any more."""
WOKEN: Final = 0.2
"""Seconds in which what was called back comes: then it is somebody else's by now, and others are called."""

Start = Callable[[Coroutine[object, object, None]], None]


class Waiting:
    """One claim while it is answered."""

    def __init__(self, call: AgentCall, wish: Claim) -> None:
        self.call = call
        self.wish = wish
        self.given: list[Leased] = []
        self.promised = 0
        self.over = False
        self.changed = asyncio.Event()

    @property
    def room(self) -> int:
        return 0 if self.over else max(self.wish.room - len(self.given) - self.promised, 0)

    @property
    def has_room(self) -> bool:
        return self.room > 0

    def wants(self, kind: str) -> bool:
        return self.has_room and (not self.wish.types or kind in self.wish.types)

    def end(self) -> None:
        """Nothing more is given; what is promised still comes."""
        self.over = True
        self.changed.set()


class Giving(Protocol):
    """What is done with a task that was handed out."""

    async def kind(self, handed: Handed) -> str | None:
        """The type of a task that may be given; None: nobody wants it any more. Raises Unavailable; anything else is its failure."""
        ...

    async def give(self, handed: Handed, waiting: Waiting) -> Leased | None:
        """None: it is in other hands. Raises as `kind` does."""
        ...


class _NobodyWaits(Exception):
    pass


class Line:
    """One pool of one tenant."""

    def __init__(self, hands: HandsOf, giving: Giving, key: tuple[TenantId, str], resting: Resting | None = None) -> None:
        self._hands = hands
        self._giving = giving
        self._key = key
        self.resting = Resting() if resting is None else resting
        """Outlives the line: whoever comes next may want what nobody wanted."""
        self._waiting: deque[Waiting] = deque()
        self._moved = asyncio.Event()
        self._looks_through = False
        self._wake_at = 0.0

    @contextmanager
    def standing(self, waiting: Waiting) -> Iterator[None]:
        self._waiting.append(waiting)
        self._wake_at = 0.0
        self._moved.set()
        try:
            yield
        finally:
            with suppress(ValueError):
                self._waiting.remove(waiting)
            self._moved.set()

    @property
    def wanted(self) -> bool:
        return any(each.has_room for each in self._waiting)

    @property
    def _room(self) -> int:
        return max(sum(each.room for each in self._waiting), 1)

    @property
    def _fetched(self) -> int:
        return max(self._room, LOOKED_THROUGH) if self._looks_through else self._room

    async def serve(self, start: Start) -> None:
        """Until nobody has waited for a while. What is given is appended to the log beside the next question."""
        async with self._hands(*self._key) as handing:
            while await self._somebody():
                try:
                    handed = await alongside(handing.next(self._fetched), self._meanwhile(handing))
                except _NobodyWaits:
                    continue
                except Unavailable as error:
                    log.warning("lease_line.away", pool=self._key[1], error=error.message)
                    await asyncio.sleep(PAUSE)
                else:
                    await self._hand_on(handed, start)

    async def _somebody(self) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                while not self.wanted:
                    self._moved.clear()
                    await self._moved.wait()
        return self.wanted

    async def _meanwhile(self, handing: Handing) -> None:
        """Until nobody waits; whatever rests is called back when somebody comes for it."""
        while self.wanted:
            self._moved.clear()
            until = await self._wake(handing) if self.resting else None
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await self._moved.wait()
        raise _NobodyWaits

    async def _wake(self, handing: Handing) -> float | None:
        """When to look again, if at all."""
        now = asyncio.get_running_loop().time()
        if now >= self._wake_at:
            self._wake_at = now + WOKEN
            for handed in self.resting.wanted(lambda kind: any(each.wants(kind) for each in self._waiting), self._room, now):
                await handed.back(0)
                handing.expect(handed.item.priority)
        return self._wake_at if self.resting else None

    async def _hand_on(self, handed: Handed, start: Start) -> None:
        kind = self.resting.seen(handed.place) if self.resting else None
        if kind and handed.times % LOOKED_AT_AGAIN and not any(each.wants(kind) for each in self._waiting):
            await self._rest(handed, kind)
            return
        try:
            kind = await self._giving.kind(handed)
        except Unavailable:
            await handed.back(PAUSE)
        except Exception as error:  # whatever is wrong with this task: those who wait are given the others
            await handed.failed(error)
        else:
            await self._known(handed, kind, start)

    async def _known(self, handed: Handed, kind: str | None, start: Start) -> None:
        if kind is None:
            await handed.done()
            return
        waiting = next((each for each in self._waiting if each.wants(kind)), None)
        self._looks_through = waiting is None
        if waiting is None:
            await self._rest(handed, kind)
            return
        self._waiting.rotate(-1)
        waiting.promised += 1
        start(self._give(handed, waiting))

    async def _rest(self, handed: Handed, kind: str) -> None:
        """For others, who may be elsewhere, or come later."""
        if not self._waiting:
            await handed.back(GONE)
            return
        seconds = rest_s(len(self.resting), handed.times) * random.uniform(0.75, 1.25)
        self.resting.put(handed, kind, asyncio.get_running_loop().time() + seconds)
        await handed.back(seconds)

    async def _give(self, handed: Handed, waiting: Waiting) -> None:
        try:
            with handed.watched():
                leased = await self._giving.give(handed, waiting)
            if leased:
                waiting.given.append(leased)
            await handed.done()
        except Unavailable:
            await handed.back(PAUSE)
        except Exception as error:  # as above
            await handed.failed(error)
        finally:
            waiting.promised -= 1
            waiting.changed.set()
            self._moved.set()
