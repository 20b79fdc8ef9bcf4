"""One aggregate id: load it, decide, append fenced; a lost race loads again and decides again."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar
from weakref import WeakValueDictionary

from trunkline.bus import Log, Raced, Stored
from trunkline.contracts.errors import DomainError, Unavailable
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Record
from trunkline.runtime.ids import new_id

S = TypeVar("S")
C = TypeVar("C")

RACES: Final = 20
CACHED: Final = 16_384
"""Aggregates: with ten thousand approvals open, whichever is decided next is at hand. Many are small; the bytes bound the rest."""
CACHED_BYTES: Final = 32 << 20
"""Of records, as stored, whose states are remembered; in memory they may be ten times as much."""
NEWS: Final = 1024
NEWS_OF_ONE: Final = 8
NEWS_BYTES: Final = 16 << 10
"""What was overheard and not read yet: of so many aggregates, so many of each, each of so many bytes at most. The rest is loaded."""


@dataclass(frozen=True, slots=True)
class Decided(Generic[S]):
    """What came of one command: the state after it and the sequence of the last fact in it."""

    state: S | None
    seq: int
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class _Known(Generic[S]):
    """A state, the sequence of the last record in it, and how many bytes its records have."""

    state: S | None = None
    seq: int = 0
    size: int = 0


_NOTHING: Final[_Known[Any]] = _Known()


class Actor(Generic[S, C]):
    """All aggregates of one kind in this process; one command at a time for each of them.

    Where it overhears what other replicas append, it needs to load little: `overhear` is for `Log.overhear`.
    """

    def __init__(
        self, log: Log, decide: Callable[[S | None, C], Sequence[Fact]], evolve: Callable[[S | None, Fact, datetime], S | None]
    ) -> None:
        self._log = log
        self._decide = decide
        self._evolve = evolve
        self._known: OrderedDict[str, _Known[S]] = OrderedDict()
        self._held = 0
        self._news: OrderedDict[str, list[tuple[int, Stored]]] = OrderedDict()
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
                    self._remember(subject, await self._load(subject))
        raise Unavailable("too many writers at once; try again in a moment", code="CONTENDED")

    def overhear(self, stored: Stored, before: int) -> None:
        """Another appended this behind the sequence `before` of its subject. It is read when it is wanted, if ever."""
        if len(stored.body) > NEWS_BYTES:
            return
        self._news.setdefault(stored.subject, []).append((before, stored))
        self._news.move_to_end(stored.subject)
        if len(self._news) > NEWS or len(self._news[stored.subject]) > NEWS_OF_ONE:
            self._news.popitem(last=len(self._news) <= NEWS)

    def _caught_up(self, subject: str) -> _Known[S]:
        """What is remembered, and what was overheard since, as far as nothing is missing in between."""
        known = self._known.get(subject, _NOTHING)
        for before, stored in self._news.pop(subject, ()) if self._news else ():
            if before == known.seq < stored.seq:
                known = self._folded(known, (stored,))
                self._remember(subject, known)
        return known

    def remembered(self, subject: str) -> tuple[S | None, int]:
        """What is known without asking, and the sequence of the last record in it; it may be older than the log."""
        known = self._caught_up(subject)
        return known.state, known.seq

    async def state(self, subject: str, since: int) -> S | None:
        """The state after the record with sequence `since` at least."""
        known = self._caught_up(subject)
        if known.seq < since:
            known = await self._load(subject)
            if known.seq > self._known.get(subject, _NOTHING).seq:  # else somebody wrote meanwhile, and remembers more
                self._remember(subject, known)
        return known.state

    async def _attempt(self, subject: str, command: C, at: datetime, cause: str) -> Decided[S]:
        known, facts = await self._decided(subject, command)
        if facts:
            record = Record(at=at, cause=cause, facts=facts)
            seq = await self._log.append(subject, record, expect=known.seq, id=new_id())
            state = known.state
            for fact in facts:
                state = self._evolve(state, fact, at)
            known = _Known(state, seq, known.size + len(record.body))
        self._remember(subject, known)
        return Decided(known.state, known.seq, facts)

    async def _decided(self, subject: str, command: C) -> tuple[_Known[S], tuple[Fact, ...]]:
        """Decide on what is remembered, or as if it were new; only an append proves that to be right, so all else is decided on the log."""
        known = self._caught_up(subject)
        with suppress(DomainError):
            if facts := tuple(self._decide(known.state, command)):
                return known, facts
        known = await self._load(subject)
        return known, tuple(self._decide(known.state, command))

    async def _load(self, subject: str) -> _Known[S]:
        """As the log has it now. What is remembered is gone on from, where its last record lies there still."""
        known = self._caught_up(subject)
        if known.seq:
            loaded = await self._log.load(subject, known.seq - 1)
            if loaded.records and loaded.records[0].seq == known.seq:
                return self._folded(known, loaded.records[1:])
        return self._folded(_NOTHING, (await self._log.load(subject)).records)

    def _folded(self, known: _Known[S], records: Sequence[Stored]) -> _Known[S]:
        state = known.state
        for stored in records:
            record = stored.record
            for fact in record.facts:
                state = self._evolve(state, fact, record.at)
        seq = records[-1].seq if records else known.seq
        return _Known(state, seq, known.size + sum(len(stored.body) for stored in records))

    def _remember(self, subject: str, known: _Known[S]) -> None:
        self._held += known.size - self._known.get(subject, _NOTHING).size
        self._known[subject] = known
        self._known.move_to_end(subject)
        while len(self._known) > CACHED or (self._held > CACHED_BYTES and len(self._known) > 1):
            self._held -= self._known.popitem(last=False)[1].size
