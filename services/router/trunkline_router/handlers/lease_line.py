"""Agents that wait for work, pool by pool: who has waited longest is given the next task."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Final, NoReturn, Protocol

import structlog

from trunkline.contracts.agent import Claim, Leased
from trunkline.contracts.errors import Unavailable
from trunkline.contracts.ids import TenantId
from trunkline.contracts.subjects import AgentCall
from trunkline.runtime.alongside import alongside
from trunkline_router.ports import Handed, HandsOf

log = structlog.get_logger()

LINGER: Final = 5.0
"""Seconds for which a line is kept open when nobody waits: agents come again at once."""
PAUSE: Final = 0.5
OTHERS: Final = 1.0
"""Seconds for which a task rests whose type nobody here takes."""


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
        """The type of a task that may be given; None: nobody wants it any more. Raises Unavailable."""
        ...

    async def give(self, handed: Handed, waiting: Waiting) -> Leased | None:
        """None: it is in other hands. Raises Unavailable."""
        ...


class _NobodyWaits(Exception):
    pass


class Line:
    """One pool of one tenant."""

    def __init__(self, hands: HandsOf, giving: Giving, key: tuple[TenantId, str]) -> None:
        self._hands = hands
        self._giving = giving
        self._key = key
        self._waiting: deque[Waiting] = deque()
        self._moved = asyncio.Event()

    @contextmanager
    def standing(self, waiting: Waiting) -> Iterator[None]:
        self._waiting.append(waiting)
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

    async def serve(self, start: Start) -> None:
        """Until nobody has waited for a while. What is given is appended to the log beside the next question."""
        async with self._hands(*self._key) as handing:
            while await self._somebody():
                try:
                    handed = await alongside(handing.next(self._room), self._nobody())
                    await self._hand_on(handed, start)
                except _NobodyWaits:
                    continue
                except Unavailable as error:
                    log.warning("lease_line.away", pool=self._key[1], error=error.message)
                    await asyncio.sleep(PAUSE)

    async def _somebody(self) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                while not self.wanted:
                    self._moved.clear()
                    await self._moved.wait()
        return self.wanted

    async def _nobody(self) -> NoReturn:
        while self.wanted:
            self._moved.clear()
            await self._moved.wait()
        raise _NobodyWaits

    async def _hand_on(self, handed: Handed, start: Start) -> None:
        kind = await self._giving.kind(handed)
        if kind is None:
            await handed.done()
            return
        waiting = next((each for each in self._waiting if each.wants(kind)), None)
        if waiting is None:
            await handed.back(OTHERS if self._waiting else 0.01)
            return
        self._waiting.rotate(-1)
        waiting.promised += 1
        start(self._give(handed, waiting))

    async def _give(self, handed: Handed, waiting: Waiting) -> None:
        try:
            with handed.watched():
                leased = await self._giving.give(handed, waiting)
            if leased:
                waiting.given.append(leased)
            await handed.done()
        except Unavailable:
            await handed.back(PAUSE)
        finally:
            waiting.promised -= 1
            waiting.changed.set()
            self._moved.set()
