"""Places where only so many tasks may be worked on at once: asked for before a task is released, free again when it ends."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

from trunkline.bus import Log, Raced, Stored
from trunkline.contracts import subjects
from trunkline.contracts.errors import Unavailable
from trunkline.contracts.ids import TenantId
from trunkline.contracts.record import Record
from trunkline.contracts.room import RoomCounted, RoomFact, Sitter
from trunkline.contracts.task import Assignment
from trunkline.runtime.ids import new_id
from trunkline_router.model.room import MOST_GIVEN, Caps, Enter, Leave, Look, Room, RoomCue, counted, decide, folded
from trunkline_router.ports import DueTask

RACES: Final = 50
COUNTED_AFTER: Final = 256
"""Records."""
KNOWN: Final = 1024
"""Rooms that are remembered."""
LOOKED_AT: Final = timedelta(seconds=60)


class _Known(NamedTuple):
    room: Room = Room()
    seq: int = 0
    since: int = 0
    """The record in which it was counted last."""
    age: int = 0
    """Records since."""


class Rooms:
    """The rooms of all tenants. Every replica decides by the same log, and a fence refuses whoever was late."""

    def __init__(self, log: Log, caps: Caps, now: Callable[[], datetime]) -> None:
        self._log = log
        self._caps = caps
        self._now = now
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def concern(self, due: DueTask, assignment: Assignment) -> bool:
        """Whether the task needs a place at all."""
        return self._caps.concern(due.tenant, sitter_of(due, assignment))

    async def enter(self, due: DueTask, assignment: Assignment) -> bool:
        """Whether the task has a place; else it waits for one. Raises Unavailable."""
        return due.task in (await self._change(due.tenant, Enter(sitter_of(due, assignment)))).inside

    async def leave(self, due: DueTask) -> None:
        """Whoever waits for the place has it now. Raises Unavailable."""
        await self._change(due.tenant, Leave(due.task))

    async def look(self, tenant: str) -> Room:
        """Give what there is to give. Raises Unavailable."""
        return await self._change(tenant, Look())

    async def _change(self, tenant: str, cue: RoomCue) -> Room:
        async with self._turns.setdefault(tenant, asyncio.Lock()):
            room, said = await self._decided(tenant, cue)
            while said >= MOST_GIVEN:  # there may be more to give than one record can name
                room, said = await self._decided(tenant, Look())
            return room

    async def _decided(self, tenant: str, cue: RoomCue) -> tuple[Room, int]:
        """The room after it, and how many facts it led to. Raises Unavailable."""
        for race in range(RACES):
            known = await self._fresh(tenant)
            facts = decide(known.room, cue, tenant, self._caps)
            if not facts:
                return known.room, 0
            try:
                return (await self._append(tenant, known, facts, type(cue).__name__)).room, len(facts)
            except Raced:
                await asyncio.sleep(random.uniform(0, 0.005 * race))
        raise Unavailable("too many tasks ask for places at once; try again in a moment", code="CONTENDED")

    async def _append(self, tenant: str, known: _Known, facts: list[RoomFact], cause: str) -> _Known:
        count = counted(known.room) if known.age >= COUNTED_AFTER else None
        stamped: list[RoomFact] = [fact.model_copy(update={"since": 0 if count else known.since}) for fact in facts]
        record = Record(at=self._now(), cause=cause, facts=(*([count] if count else []), *stamped))
        seq = await self._log.append(room_of(tenant), record, expect=known.seq, id=new_id())
        after = _folded(known, (Stored(seq, room_of(tenant), b"", own=record),))
        self._remember(tenant, after)
        return after

    async def _fresh(self, tenant: str) -> _Known:
        """As the log has it at this moment."""
        known = self._known.get(tenant, _Known())
        last = await self._log.last(room_of(tenant))
        if last is None or last.seq == known.seq:
            return known if last else _Known()
        gone_on = await self._log.load(room_of(tenant), known.seq) if known.seq else None
        known = _folded(known, gone_on.records) if gone_on else await self._load(tenant, last)
        self._remember(tenant, known)
        return known

    async def _load(self, tenant: str, last: Stored) -> _Known:
        facts = last.record.facts
        since = last.seq if any(isinstance(fact, RoomCounted) for fact in facts) else getattr(facts[0], "since", 0)
        return _folded(_Known(since=since), (await self._log.load(room_of(tenant), max(since - 1, 0))).records)

    def _remember(self, tenant: str, known: _Known) -> None:
        self._known[tenant] = known
        self._known.move_to_end(tenant)
        while len(self._known) > KNOWN:
            self._known.popitem(last=False)


def sitter_of(due: DueTask, assignment: Assignment) -> Sitter:
    agent = assignment.agent or assignment.pool
    return Sitter(task=due.task, lane=assignment.priority.value, repo=assignment.repo.casefold(), agent=agent)


def room_of(tenant: str) -> str:
    return subjects.room(TenantId(tenant))


def _folded(known: _Known, records: Sequence[Stored]) -> _Known:
    if not records:
        return known
    room = folded(known.room, (fact for stored in records for fact in stored.record.facts))
    counts = [place for place, stored in enumerate(records) if any(isinstance(fact, RoomCounted) for fact in stored.record.facts)]
    if not counts:
        return _Known(room, records[-1].seq, known.since, known.age + len(records))
    return _Known(room, records[-1].seq, records[counts[-1]].seq, len(records) - 1 - counts[-1])
