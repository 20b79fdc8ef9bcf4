"""How far each consumer of the log has got, noted on disk: on several servers nats-server keeps that in memory, and may forget it."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import suppress
from typing import Final
from uuid import uuid4

import structlog

from trunkline.bus.answers import CANNOT_ASK, Answers, status_of
from trunkline.bus.away import BusAway
from trunkline.bus.in_memory import noted
from trunkline.bus.log_life import LogLife
from trunkline.bus.publish import publish
from trunkline.bus.streams import EVENTS, FLOORS, MAX_ACK_PENDING
from trunkline.contracts import subjects
from trunkline.contracts.errors import Unavailable

log = structlog.get_logger()

LOOK: Final = 5.0
"""Seconds between two notes: what was done since the last is done once more, should nats-server forget it."""
WITHIN: Final = 2.0
TRIES: Final = 5


class Floors:
    """Of the consumers that one process reads. `done` is asked for each message that is to be worked on."""

    def __init__(self, answers: Answers, life: LogLife) -> None:
        self._answers = answers
        self._life = life
        self._known: dict[str, int] = {}

    def hear(self, consumer: str) -> None:
        self._known[consumer] = 0

    def done(self, consumer: str, seq: int) -> bool:
        """Whether this message was acknowledged before, and comes again because that was forgotten."""
        return seq <= self._known.get(consumer, 0)

    async def load(self) -> None:
        """Once, before anything is heard. Raises BusAway."""
        if self._life.replicas > 1:
            for consumer in self._known:
                self._known[consumer] = await self._noted(consumer)

    async def keep(self) -> None:
        """For ever."""
        while True:
            if self._life.replicas > 1:
                await self.look()
            await asyncio.sleep(LOOK * random.uniform(0.8, 1.2))

    async def look(self) -> None:
        """How far each has got is noted, and one that has forgotten it is told. What cannot be done now is done by the next look."""
        for consumer in self._known:
            with suppress(*CANNOT_ASK, Unavailable):
                await self._look(consumer)

    async def _look(self, consumer: str) -> None:
        """Raises one of CANNOT_ASK, Unavailable."""
        said = await self._answers.asked(f"$JS.API.CONSUMER.INFO.{EVENTS}.{consumer}", b"", {}, WITHIN)
        if said is None or status_of(said) or "error" in (info := json.loads(said.data)):
            return
        at, known = int(info["ack_floor"]["stream_seq"]), self._known[consumer]
        if at > known:
            await publish(self._answers, subjects.floor(consumer), noted(self._life.epoch, at), id=uuid4().hex)
            self._known[consumer] = at
        elif at + MAX_ACK_PENDING < known:  # fewer come again by themselves, and are left
            log.warning("floors.forgotten", consumer=consumer, at=at, known=known)
            await self._answers.asked(f"$JS.API.CONSUMER.RESET.{EVENTS}.{consumer}", json.dumps({"seq": known + 1}).encode(), {}, WITHIN)

    async def _noted(self, consumer: str) -> int:
        for attempt in range(TRIES):
            with suppress(*CANNOT_ASK):
                said = await self._answers.asked(f"$JS.API.DIRECT.GET.{FLOORS}.{subjects.floor(consumer)}", b"", {}, WITHIN)
                if said is not None and status_of(said) in ("", "404"):
                    return 0 if status_of(said) else self._here(said.data)
            await asyncio.sleep(0.1 * 2**attempt)
        raise BusAway("nats-server does not say how far the consumers of the log have got; try again", code="BUS_AWAY")

    def _here(self, body: bytes) -> int:
        """A note of an earlier life of the log counts as far as that is still as it was."""
        epoch, _, seq = body.decode().partition(":")
        last = int(seq) if epoch == self._life.epoch else self._life.ended(epoch) or 0
        return min(int(seq), last)
