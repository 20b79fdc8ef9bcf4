"""The stream DEAD as one process knows it: an index of the newest letters of each tenant, and what somebody did about them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import Final, TypeVar

import structlog
from pydantic import ValidationError

from trunkline.auth.principal import HOME
from trunkline.bus import Ledger, Stored
from trunkline.bus.dead import DeadLetter
from trunkline.contracts import subjects
from trunkline.contracts.ids import TenantId
from trunkline.contracts.letters import LetterHandled, LetterKind, LetterName, desk_token, parse_letter
from trunkline_relay.adapters.stored_at import stored_at
from trunkline_relay.model.letters import Done, GivenUp, name_of, raw_body, read_body, tenant_of

log = structlog.get_logger()

MOST: Final = 50_000
"""Of each, over all tenants: some 20 MB. What is older lies there still, and is in no list."""
_KINDS: Final = frozenset(LetterKind)
T = TypeVar("T")
_Key = tuple[str, str]


class LetterBook:
    """ports.LetterBook. To be started."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._letters: OrderedDict[_Key, GivenUp] = OrderedDict()
        self._done: OrderedDict[_Key, LetterHandled] = OrderedDict()
        self._last = 0
        self._reading = asyncio.Lock()

    async def start(self) -> None:
        await self._ledger.start()

    async def settled(self) -> None:
        async with self._reading:
            newest = await self._ledger.newest()
            if newest < self._last:  # it is another stream than before
                self._letters.clear()
                self._done.clear()
                self._last = 0
            if newest == self._last:
                return
            async for stored in self._ledger.read(subjects.ALL_DEAD, self._last + 1):
                with suppress(ValidationError):  # written by a version that knows more; it must not end the relay
                    self._learn(stored)
            self._last = newest

    def given_up(self, tenant: str, kind: LetterKind, before: int | None, limit: int) -> Sequence[GivenUp]:
        found: list[GivenUp] = []
        for letter in reversed(self._letters.values()):
            if letter.tenant == tenant and letter.name.kind is kind and (before is None or letter.seq < before):
                found.append(letter)
                if len(found) == limit:
                    break
        return found

    def count(self, tenant: str, kind: LetterKind) -> int:
        return sum(letter.tenant == tenant and letter.name.kind is kind for letter in self._letters.values())

    def find(self, tenant: str, name: LetterName) -> GivenUp | None:
        return self._letters.get((tenant, str(name)))

    def done(self, tenant: str, name: LetterName) -> LetterHandled | None:
        return self._done.get((tenant, str(name)))

    def handled(self, tenant: str, kind: LetterKind, most: int) -> Sequence[LetterHandled]:
        mine = (done for (whose, letter), done in self._done.items() if whose == tenant and letter.partition(".")[0] == kind)
        return list(islice(mine, most))

    async def letter(self, given_up: GivenUp) -> DeadLetter | None:
        stored = await self._ledger.last(given_up.subject)
        return DeadLetter.model_validate_json(stored.body) if stored else None

    async def load(self, tenant: str, name: LetterName) -> Done | None:
        stored = await self._ledger.last(_place(tenant, name))
        return Done(LetterHandled.model_validate_json(stored.body), stored.seq) if stored else None

    async def append(self, tenant: str, record: LetterHandled, expect: int) -> int:
        name = parse_letter(record.letter)
        assert name is not None
        id = f"letter:{tenant}:{record.letter}:{expect}:{record.wish}:{record.done}"
        seq = await self._ledger.append(_place(tenant, name), record.written(), expect=expect, id=id)
        log.info("letter.handled", letter=record.letter, tenant=tenant, state=record.state, by=record.by, done=record.done)
        return seq

    def _learn(self, stored: Stored) -> None:
        _, what, tenant, _ = stored.subject.split(".", 3)
        if what in _KINDS:
            handled = LetterHandled.model_validate_json(stored.body)
            _put(self._done, (tenant, handled.letter), handled)
            return
        letter = DeadLetter.model_validate_json(stored.body)
        given_up = _given_up(stored, letter)
        _put(self._letters, (given_up.tenant, str(given_up.name)), given_up)


def _place(tenant: str, name: LetterName) -> str:
    return subjects.dead(name.kind, TenantId(tenant), desk_token(name))


def _given_up(stored: Stored, letter: DeadLetter) -> GivenUp:
    _, what, tenant, id = stored.subject.split(".", 3)
    return GivenUp(
        name_of(what, id),
        tenant_of(tenant, letter.subject, read_body(raw_body(letter.body)), HOME),
        stored.seq,
        stored_at(stored),
        stored.subject,
        letter.consumer,
        letter.stream,
        letter.seq,
        letter.subject,
        letter.reason,
        letter.tries,
    )


def _put(into: OrderedDict[_Key, T], key: _Key, value: T) -> None:
    into[key] = value
    into.move_to_end(key)
    if len(into) > MOST:
        into.popitem(last=False)
