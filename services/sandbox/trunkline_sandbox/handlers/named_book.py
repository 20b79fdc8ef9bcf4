"""All named sandboxes that are not deleted, as every replica knows them: folded from the log at the start, then kept up."""

from __future__ import annotations

from collections.abc import AsyncIterator
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
        self._known: dict[Key, tuple[int, Named | None]] = {}

    async def start(self) -> None:
        """Returns when everything that lies there is known. Raises Unavailable."""
        await self._ledger.start()
        async for stored in await self._heard.start():
            key = key_of(stored.subject)
            seq, named = self._known.get(key, (0, None))
            if stored.seq > seq:
                self._learn(key, stored.seq, _folded(named, stored))

    async def run(self) -> None:
        """For ever: learn what is stored, whoever stored it."""
        await self._hear(self._heard.records())

    async def receive(self, key: Key, cue: Cue, at: datetime, cause: str = "") -> Named | None:
        """The sandbox after `cue`. Raises what the model refuses with, and Unavailable."""
        outcome = await self._actor.receive(key.subject, cue, at, cause)
        self._learn(key, outcome.seq, outcome.state)
        return outcome.state

    async def try_receive(self, key: Key, cue: Cue, at: datetime, cause: str = "") -> None:
        """The same for what is not worth a word when it cannot be."""
        with suppress(NotFound, Conflict):
            await self.receive(key, cue, at, cause)

    async def look(self, key: Key) -> Named | None:
        """As the log has it now. Raises Unavailable."""
        loaded = await self._log.load(key.subject)
        named: Named | None = None
        for stored in loaded.records:
            named = _folded(named, stored)
        self._learn(key, loaded.seq, named)
        return named

    def of(self, tenant: str) -> list[tuple[Key, Named]]:
        """Those of a tenant, a moment old."""
        return [(key, named) for key, named in self.all() if key.tenant == tenant]

    def all(self) -> list[tuple[Key, Named]]:
        """Those that are not deleted, a moment old."""
        return [(key, named) for key, (_, named) in self._known.items() if named and named.phase is not Phase.DELETED]

    async def _hear(self, records: AsyncIterator[Stored]) -> None:
        async for stored in records:
            key = key_of(stored.subject)
            if self._known.get(key, (0, None))[0] < stored.seq:
                await self.look(key)  # records may come twice, or an older one after a newer: only the log has their order

    def _learn(self, key: Key, seq: int, named: Named | None) -> None:
        known = self._known.get(key, (0, None))[0]
        if seq >= known and named is not None:
            self._known[key] = (seq, named if named.phase is not Phase.DELETED else None)


def _folded(named: Named | None, stored: Stored) -> Named | None:
    try:
        record = stored.record
    except ValueError as error:  # one record that nobody can read must not hide every sandbox behind it
        log.error("named.unreadable", subject=stored.subject, seq=stored.seq, error=str(error)[:200])
        return named
    for fact in record.facts:
        named = evolve(named, fact, record.at)
    return named


def key_of(subject: str) -> Key:
    names = subjects.parse_event(subject)
    return Key(names.tenant, SandboxId(names.task))
