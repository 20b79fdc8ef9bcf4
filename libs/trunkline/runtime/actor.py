"""One aggregate id: load it, decide, append fenced; a lost race loads again and decides again."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, TypeVar
from weakref import WeakValueDictionary

from trunkline.bus import Log, Raced
from trunkline.contracts.errors import DomainError, Unavailable
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Record
from trunkline.runtime.ids import new_id

S = TypeVar("S")
C = TypeVar("C")

RACES: Final = 20
CACHED: Final = 4096


@dataclass(frozen=True, slots=True)
class Decided(Generic[S]):
    """What came of one command: the state after it and the sequence of the last fact in it."""

    state: S | None
    seq: int
    facts: tuple[Fact, ...]


class Actor(Generic[S, C]):
    """All aggregates of one kind in this process; one command at a time for each of them."""

    def __init__(
        self, log: Log, decide: Callable[[S | None, C], Sequence[Fact]], evolve: Callable[[S | None, Fact, datetime], S | None]
    ) -> None:
        self._log = log
        self._decide = decide
        self._evolve = evolve
        self._known: OrderedDict[str, tuple[S | None, int]] = OrderedDict()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def receive(self, subject: str, command: C, at: datetime, cause: str = "") -> Decided[S]:
        """Carry out `command` on the aggregate at `subject`. Raises what `decide` raises, and Unavailable."""
        turn = self._turns.setdefault(subject, asyncio.Lock())
        async with turn:
            for race in range(RACES):
                try:
                    return await self._attempt(subject, command, at, cause)
                except Raced:
                    await asyncio.sleep(random.uniform(0, 0.005 * race))
                    self._remember(subject, *await self._load(subject))
        raise Unavailable("too many writers at once; try again in a moment", code="CONTENDED")

    async def state(self, subject: str, since: int) -> S | None:
        """The state after the record with sequence `since` at least."""
        state, seq = self._known.get(subject, (None, 0))
        return state if seq >= since else (await self._load(subject))[0]

    async def _attempt(self, subject: str, command: C, at: datetime, cause: str) -> Decided[S]:
        state, seq, facts = await self._decided(subject, command)
        if facts:
            seq = await self._log.append(subject, Record(at=at, cause=cause, facts=facts), expect=seq, id=new_id())
            for fact in facts:
                state = self._evolve(state, fact, at)
        self._remember(subject, state, seq)
        return Decided(state, seq, facts)

    async def _decided(self, subject: str, command: C) -> tuple[S | None, int, tuple[Fact, ...]]:
        """Decide on what is remembered, or as if it were new; only an append proves that to be right, so all else is decided on the log."""
        state, seq = self._known.get(subject, (None, 0))
        with suppress(DomainError):
            if facts := tuple(self._decide(state, command)):
                return state, seq, facts
        state, seq = await self._load(subject)
        return state, seq, tuple(self._decide(state, command))

    async def _load(self, subject: str) -> tuple[S | None, int]:
        loaded = await self._log.load(subject)
        state: S | None = None
        for stored in loaded.records:
            record = stored.record
            for fact in record.facts:
                state = self._evolve(state, fact, record.at)
        return state, loaded.seq

    def _remember(self, subject: str, state: S | None, seq: int) -> None:
        self._known[subject] = (state, seq)
        self._known.move_to_end(subject)
        if len(self._known) > CACHED:
            self._known.popitem(last=False)
