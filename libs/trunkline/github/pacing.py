"""When a credential may be used again: changes one at a time with a pause between them, and nothing before the moment GitHub named."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from trunkline.contracts.errors import Unavailable
from trunkline.github.failures import UNKNOWN_WAIT, exhausted

MOST_LANES = 1000
QUEUE_S = 60.0
"""Seconds that a change waits for others at most."""
_LONGEST_UNKNOWN = 900.0


@dataclass(slots=True)
class Lane:
    """What is known of one credential."""

    alone: asyncio.Lock = field(default_factory=asyncio.Lock)
    changed_at: float = float("-inf")
    not_before: float = float("-inf")
    refusals: int = 0
    """How often in a row GitHub did not say for how long."""


class Pace:
    """Lanes by the key of a credential. It knows this process only: replicas do not tell each other."""

    def __init__(self, gap_s: float = 1.0, now: Callable[[], float] = time.monotonic) -> None:
        """`gap_s` lies between the end of one change and the beginning of the next."""
        self._gap_s = gap_s
        self._now = now
        self._lanes: dict[str, Lane] = {}

    def hold(self, key: str, seconds: float, *, told: bool = True) -> float:
        """No call before that; seconds. What GitHub did not tell (`told`) is doubled each time that it was not enough."""
        lane = self._lane(key)
        if not told:
            seconds = min(UNKNOWN_WAIT * 2**lane.refusals, _LONGEST_UNKNOWN)
            lane.refusals += 1
        lane.not_before = max(lane.not_before, self._now() + seconds)
        return seconds

    def welcome(self, key: str) -> None:
        """It was served."""
        self._lane(key).refusals = 0

    def check(self, key: str) -> None:
        """Raises Exhausted while nothing may be asked."""
        left = self._lane(key).not_before - self._now()
        if left > 0:
            raise exhausted(left)

    @asynccontextmanager
    async def change(self, key: str) -> AsyncIterator[None]:
        """The only change of this credential inside the block. Raises Exhausted, and Unavailable when others take too long."""
        lane = self._lane(key)
        await self._enter(lane)
        try:
            await asyncio.sleep(max(lane.changed_at + self._gap_s - self._now(), 0))
            self.check(key)
            yield
        finally:
            lane.changed_at = self._now()
            lane.alone.release()

    async def _enter(self, lane: Lane) -> None:
        try:
            async with asyncio.timeout(QUEUE_S):
                await lane.alone.acquire()
        except TimeoutError:
            raise Unavailable("Too many changes wait for GitHub; try again in a moment.", code="FORGE_BUSY") from None

    def _lane(self, key: str) -> Lane:
        if key not in self._lanes and len(self._lanes) >= MOST_LANES:
            now = self._now()
            idle = (name for name, lane in self._lanes.items() if not lane.alone.locked() and lane.not_before < now)
            self._lanes.pop(next(idle, ""), None)
        return self._lanes.setdefault(key, Lane())
