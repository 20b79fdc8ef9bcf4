"""Tells a task once more at its own pace, faster or slower: what is stored is as far apart as it was when it happened."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Annotated, Final

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from trunkline.contracts.cursor import Cursor
from trunkline.contracts.record import Event, Gap
from trunkline.contracts.task import ENDS
from trunkline_gateway.ports import Feed, Timeline

SLOWEST: Final = 0.1
FASTEST: Final = 100.0
LONGEST: Final = 60.0
"""Seconds that a pause counts at most, before the speed divides it: nobody watches the night through that an approval waited."""
NEAR: Final = 0.002
"""Seconds that an event may come early: timers are hardly finer, and a thousand of them in a row would add up."""
PAGE: Final = 32
"""Facts that are read at once: a reader of a slow replay holds them for hours."""

LAST_INDEX: Final = 9999
"""The largest that a cursor can name: behind every fact of its record."""

_NUMBER: Final = re.compile(r"[0-9]{1,3}(\.[0-9]{1,9})?")


def _speed(text: object) -> float:
    """As it stands in a query; one refusal for all that is none."""
    number = float(text) if isinstance(text, str) and _NUMBER.fullmatch(text) else 0.0
    if not SLOWEST <= number <= FASTEST:
        raise PydanticCustomError("speed", "must be a number from 0.1 to 100, such as 0.5 or 10")
    return number


Speed = Annotated[float, BeforeValidator(_speed), Field(ge=SLOWEST, le=FASTEST)]
"""How many times as fast as it happened."""


@dataclass(frozen=True, slots=True)
class Place:
    """From where a stream is wanted, and how fast; without a speed as fast as the reader takes it."""

    after: Cursor | None = None
    speed: float | None = None


class Pace:
    """When each of several events is due."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._last: datetime | None = None
        self._due = 0.0

    def due(self, at: datetime) -> float:
        """Seconds after the first. Services have clocks of their own: what seems to have happened before the last is due with it."""
        pause = (at - self._last).total_seconds() if self._last else 0.0
        if pause > 0:
            self._due += min(pause, LONGEST) / self._speed
        self._last = at if self._last is None else max(at, self._last)
        return self._due


class Beat:
    """Waits until each of several events is due, the first at once."""

    def __init__(
        self, speed: float, clock: Callable[[], float] = monotonic, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._pace = Pace(speed)
        self._clock = clock
        self._sleep = sleep
        self._began = clock()

    async def until(self, at: datetime) -> None:
        """Until what happened at that moment is due."""
        early = self._began + self._pace.due(at) - self._clock()
        if early > NEAR:
            await self._sleep(early)


def place(after: str | None, first: str | None, speed: float | None = None) -> Place:
    """By event ids: beyond `after`, else from `first` on; what a reader saw last wins. Raises Invalid."""
    if after:
        return Place(Cursor.parse(after), speed)
    return Place(before(Cursor.parse(first)) if first else None, speed)


def before(event: Cursor) -> Cursor | None:
    """The place from which a reader gets `event` first."""
    if event.index:
        return Cursor(event.epoch, event.seq, event.index - 1)
    return Cursor(event.epoch, event.seq - 1, LAST_INDEX) if event.seq else None


@dataclass(frozen=True, slots=True)
class Replay:
    feed: Feed
    clock: Callable[[], float] = monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def history(self, timeline: Timeline, after: Cursor | None, speed: float) -> AsyncIterator[Event | Gap]:
        """Everything beyond `after`, each event when it is due, also what is stored meanwhile; to the end of the task, or until the
        reader has caught up with it. A Gap first where something is lost, as in a feed."""
        beat, more = Beat(speed, self.clock, self.sleep), True
        while more:
            items, _ = await self.feed.page(timeline, after, PAGE)
            more = bool(items)
            for item in items:
                if isinstance(item, Gap):
                    after = None
                    yield item
                    continue
                if timeline.end is not None and item.cursor.seq > timeline.end:
                    return
                await beat.until(item.at)
                yield item
                after = item.cursor
                if isinstance(item.fact, ENDS):
                    return
