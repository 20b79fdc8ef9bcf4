"""The caps of named sandboxes, exact for however many replicas: a place is noted, fenced, before a sandbox is wanted."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Final
from weakref import WeakValueDictionary

import structlog

from trunkline.bus import Memos, Raced
from trunkline.contracts.errors import Unavailable
from trunkline.contracts.ids import SandboxId
from trunkline.runtime.ids import new_id
from trunkline_sandbox.handlers.named_book import Book, Key
from trunkline_sandbox.handlers.named_terms import Caps
from trunkline_sandbox.model.named import Effect, Named, Phase, next_effect
from trunkline_sandbox.model.named_deciding import SITE_LOST
from trunkline_sandbox.model.places import Place, counts, mark, read, still, untaken, written

log = structlog.get_logger()

RACES: Final = 20
TENANTS: Final = 1024
"""Whose notes are remembered."""
_Note = tuple[int, Mapping[str, Place]]
"""The sequence of a memo, 0 where there is none, and what it says."""

_NOTHING: Final[_Note] = 0, {}


class GivePlace:
    """Nobody gives a place back: it is free as soon as the log says that its sandbox is over, or never came to be."""

    def __init__(self, book: Book, memos: Memos, caps: Caps, now: Callable[[], datetime]) -> None:
        self._book = book
        self._memos = memos
        self._caps = caps
        self._now = now
        self._notes: dict[str, _Note] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def __call__(self, key: Key, user: str) -> None:
        """The sandbox `key` may be wanted now, for `user`. The same again is the same place. Raises Exhausted SANDBOX_CAP, Unavailable."""
        if not (self._caps.per_user or self._caps.per_tenant):
            return
        turn = self._turns.setdefault(key.tenant, asyncio.Lock())
        async with turn:
            for race in range(RACES):
                try:
                    return await self._note(key, mark(user))
                except Raced:
                    self._notes.pop(key.tenant, None)
                    await asyncio.sleep(random.uniform(0, 0.005 * race))
        raise Unavailable("too many sandboxes are made at once; try again in a moment", code="CONTENDED")

    async def _note(self, key: Key, user: str) -> None:
        """Raises Raced when another replica noted something since."""
        seq, noted = await self._noted(key.tenant)
        now = self._now().timestamp()
        fresh = still(noted, now)
        if key.id in fresh and not untaken(fresh[key.id], now):
            return
        gone = await self._made_room(key, fresh, user)
        kept = {id: place for id, place in fresh.items() if id not in gone} | {key.id: Place(user, now)}
        seq = await self._memos.write(_memo(key.tenant), written(kept), {}, expect=seq, id=new_id())
        self._remember(key.tenant, (seq, kept))

    async def _noted(self, tenant: str) -> _Note:
        """As remembered, for only a write proves that right; what is refused is looked at in the log."""
        if tenant not in self._notes:
            memo = await self._memos.read(_memo(tenant))
            self._remember(tenant, (memo.seq, _read(memo.body)) if memo else _NOTHING)
        return self._notes[tenant]

    def _remember(self, tenant: str, note: _Note) -> None:
        if len(self._notes) >= TENANTS:
            self._notes.clear()
        self._notes[tenant] = note

    async def _made_room(self, key: Key, noted: Mapping[str, Place], user: str) -> frozenset[str]:
        """The ids of those that turned out to be gone where all places seemed taken. Raises Exhausted."""
        known = {str(at.id): mark(named.wanted.user) for at, named in self._book.of(key.tenant) if _counts(named)}
        there: dict[str, str] = {**known, **{id: place.user for id, place in noted.items()}}
        there.pop(key.id, None)
        gone = set[str]()
        for mine in (True, False):
            left = {id: whose for id, whose in there.items() if id not in gone}
            of_user, of_tenant = counts(left.values(), user)
            if self._caps.full(of_user, 0) if mine else self._caps.full(0, of_tenant):
                suspects = [SandboxId(id) for id, whose in left.items() if whose == user or not mine]
                gone |= {id for id in suspects if await self._over(Key(key.tenant, id), noted.get(id))}
        self._caps.check(*counts((whose for id, whose in there.items() if id not in gone), user))
        return frozenset(gone)

    async def _over(self, key: Key, place: Place | None) -> bool:
        """Whether the log says that it is over, or it never came."""
        named = await self._book.look(key)
        if named is None:
            return place is None or untaken(place, self._now().timestamp())
        return not _counts(named)


def _counts(named: Named) -> bool:
    """One whose site is lost does not: nobody can delete it to make room, and its user gets another one."""
    lost = named.phase is Phase.BROKEN and named.code == SITE_LOST
    return not named.over and not lost and next_effect(named) is not Effect.CLEAN


def _memo(tenant: str) -> str:
    return sha256(f"sandbox places of {tenant}".encode()).hexdigest()


def _read(body: bytes) -> Mapping[str, Place]:
    try:
        return read(body)
    except (ValueError, TypeError, AttributeError) as error:  # the sandboxes that are there count without it
        log.error("named.places_unreadable", error=str(error)[:200])
        return {}
