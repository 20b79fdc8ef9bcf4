"""All named sandboxes that are not deleted, as every replica knows them: folded from the log at the start, then kept up.

A look folds only what came since the one before; what is remembered for that can be thrown away at any time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from trunkline.bus import Heard, Ledger, Log, Stored
from trunkline.contracts import subjects
from trunkline.contracts.errors import Conflict, NotFound
from trunkline.contracts.ids import SandboxId, TenantId
from trunkline.runtime.actor import Actor
from trunkline_sandbox.model.named import Named, Phase, evolve
from trunkline_sandbox.model.named_cues import Cue
from trunkline_sandbox.model.named_deciding import Decide

log = structlog.get_logger()

ALL: Final = subjects.events_of_part(subjects.SANDBOX)
OVER: Final = 4096
"""Deleted ones that are remembered, for whoever asks again; of others the log is asked."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A sandbox, and the sequence of the last record that is in it; 0 before the first."""

    seq: int = 0
    named: Named | None = None


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Names one sandbox of the installation."""

    tenant: str
    id: SandboxId

    @property
    def subject(self) -> str:
        return subjects.sandbox(TenantId(self.tenant), self.id)


class Book:
    """`start` it, and let `run` run."""

    def __init__(self, log: Log, ledger: Ledger, heard: Heard, decide: Decide) -> None:
        self._log = log
        self._ledger = ledger
        self._heard = heard
        self._actor: Actor[Named, Cue] = Actor(log, decide, evolve)
        self._known: dict[Key, _Known] = {}
        self._over: OrderedDict[Key, _Known] = OrderedDict()
        self.listeners: list[Callable[[Key, Named], None]] = []
        """Each is told of every sandbox that came further, whichever replica was told to bring it there; maybe twice."""

    async def start(self) -> None:
        """Returns when everything that lies there is known. Raises Unavailable."""
        await self._ledger.start()
        async for stored in await self._heard.start():
            key = key_of(stored.subject)
            known = self._remembered(key)
            if stored.seq > known.seq:
                self._learn(key, _folded(known, (stored,)))

    async def run(self) -> None:
        """For ever: learn what is stored, whoever stored it."""
        await self._hear(self._heard.records())

    async def receive(self, key: Key, cue: Cue, at: datetime, cause: str = "") -> Named | None:
        """The sandbox after `cue`. Raises what the model refuses with, and Unavailable."""
        outcome = await self._actor.receive(key.subject, cue, at, cause)
        self._learn(key, _Known(outcome.seq, outcome.state))
        return outcome.state

    async def try_receive(self, key: Key, cue: Cue, at: datetime, cause: str = "") -> None:
        """The same for what is not worth a word when it cannot be."""
        with suppress(NotFound, Conflict):
            await self.receive(key, cue, at, cause)

    async def look(self, key: Key) -> Named | None:
        """As the log has it now. Raises Unavailable."""
        known = self._remembered(key)
        loaded = await self._log.load(key.subject, max(known.seq - 1, 0))
        if known.seq and not (loaded.records and loaded.records[0].seq == known.seq):  # it is another log, or it reaches less far back
            known, loaded = _Known(), await self._log.load(key.subject)
        found = _folded(known, loaded.records)
        self._learn(key, found)
        return found.named

    def of(self, tenant: str) -> list[tuple[Key, Named]]:
        """Those of a tenant, a moment old."""
        return [(key, named) for key, named in self.all() if key.tenant == tenant]

    def all(self) -> list[tuple[Key, Named]]:
        """Those that are not deleted, a moment old."""
        return [(key, known.named) for key, known in self._known.items() if known.named]

    async def _hear(self, records: AsyncIterator[Stored]) -> None:
        async for stored in records:
            key = key_of(stored.subject)
            if self._remembered(key).seq < stored.seq:
                await self.look(key)  # records may come twice, or an older one after a newer: only the log has their order
            if named := self._remembered(key).named:
                for listener in self.listeners:
                    listener(key, named)

    def _remembered(self, key: Key) -> _Known:
        return self._known.get(key) or self._over.get(key) or _Known()

    def _learn(self, key: Key, found: _Known) -> None:
        if found.named is None or found.seq < self._remembered(key).seq:
            return
        if found.named.phase is not Phase.DELETED:
            self._known[key] = found
            return
        self._known.pop(key, None)
        self._over[key] = found
        self._over.move_to_end(key)
        if len(self._over) > OVER:
            self._over.popitem(last=False)


def _folded(known: _Known, records: Sequence[Stored]) -> _Known:
    named, seq = known.named, known.seq
    for stored in records:
        if stored.seq <= seq:
            continue
        seq = stored.seq
        try:
            record = stored.record
        except ValueError as error:  # one record that nobody can read must not hide every sandbox behind it
            log.error("named.unreadable", subject=stored.subject, seq=stored.seq, error=str(error)[:200])
            continue
        for fact in record.facts:
            named = evolve(named, fact, record.at)
    return _Known(seq, named)


def key_of(subject: str) -> Key:
    names = subjects.parse_event(subject)
    return Key(names.tenant, SandboxId(names.task))
