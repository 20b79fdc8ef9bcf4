"""The log of one build on its way to the bus: in bunches, and each line once, whoever builds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from trunkline.bus import Log, Raced
from trunkline.contracts.errors import Unavailable
from trunkline.contracts.image import LONGEST_LINE, ImageSaid
from trunkline.contracts.record import Record
from trunkline.runtime.ids import new_id
from trunkline_sandbox.handlers.image_host import Strike

log = structlog.get_logger()

MOST_LINES: Final = 10_000
"""Of one build; what is beyond is not kept."""
OFTEN_S: Final = 0.2
AT_ONCE: Final = 64
"""Lines of one record: below what a message may have, whatever letters they are of."""
RACES: Final = 20


class Said:
    """A build that is gone on with, or that two do at once for a while, says the same lines: each knows what lies there already."""

    def __init__(self, events: Log, place: tuple[str, str], strike: Strike, now: Callable[[], datetime]) -> None:
        self._events = events
        self._subject, self._name = place
        self._strike = strike
        self._now = now
        self._seq = 0
        self._stored = 0
        """Lines."""
        self._heard = 0
        self._left: list[tuple[int, str]] = []
        """By the number of the line."""

    async def start(self) -> None:
        """Learn what lies there, whoever stored it. Raises Unavailable."""
        loaded = await self._events.load(self._subject)
        facts = (fact for stored in loaded.records for fact in stored.record.facts)
        self._stored = sum(len(fact.lines) for fact in facts if isinstance(fact, ImageSaid) and fact.name == self._name)
        self._seq = loaded.seq
        self._left = [(number, line) for number, line in self._left if number > self._stored]

    def add(self, line: str) -> None:
        self._heard += 1
        if self._stored < self._heard <= MOST_LINES:
            told = self._strike(line)[:LONGEST_LINE] if self._heard < MOST_LINES else "(more was said, and is not kept)"
            self._left.append((self._heard, told))

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(OFTEN_S)
            await self.flush()

    async def flush(self) -> None:
        """What cannot be stored now is stored later; it is bounded."""
        try:
            for race in range(RACES):
                if await self._flushed():
                    return
                await asyncio.sleep(random.uniform(0, 0.005 * race))
                await self.start()
        except Unavailable as error:
            log.info("image.log_waits", image=self._name, error=error.code)

    async def _flushed(self) -> bool:
        """False: somebody else stored something meanwhile, which may be what we are about to. Raises Unavailable."""
        while self._left:
            bunch = self._left[:AT_ONCE]
            lines = tuple(line for _, line in bunch)
            record = Record(at=self._now(), cause="build", facts=(ImageSaid(name=self._name, lines=lines),))
            try:
                self._seq = await self._events.append(self._subject, record, expect=self._seq, id=new_id())
            except Raced:
                return False
            self._stored = bunch[-1][0]
            del self._left[: len(bunch)]
        return True
