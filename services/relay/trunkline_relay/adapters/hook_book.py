"""Webhooks as they lie in their stream: known whole by every replica, changed by fenced appends, their secrets sealed."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Final

import structlog
from pydantic import ValidationError

from trunkline.bus import Heard, Ledger, Sealing, Stored
from trunkline.contracts import subjects
from trunkline.contracts.errors import Unavailable
from trunkline.contracts.ids import TenantId
from trunkline.contracts.webhook import Hook, HookRecord
from trunkline_relay.ports import Known

log = structlog.get_logger()

KNOWN_WITHIN: Final = 5.0


class HookBook:
    """ports.Hooks. `start` it, and let `run` run."""

    def __init__(self, ledger: Ledger, heard: Heard, sealing: Sealing) -> None:
        self._ledger = ledger
        self._heard = heard
        self._sealing = sealing
        self._known: defaultdict[str, dict[str, Known]] = defaultdict(dict)
        self._concerned: defaultdict[str, defaultdict[str | None, dict[str, Hook]]] = defaultdict(lambda: defaultdict(dict))
        """By tenant and by whose tasks they hear of; None: everybody's. The deleted are not among them."""
        self._opened: dict[tuple[str, str], str | None] = {}
        self._seq = 0
        self._moved = asyncio.Event()

    async def start(self) -> None:
        """Returns when everything that lies there is known. Raises Unavailable."""
        await self._ledger.start()
        await self._take(await self._heard.start())

    async def run(self) -> None:
        """For ever: learn what is stored."""
        await self._take(self._heard.records())

    def get(self, tenant: str, hook_id: str) -> Known | None:
        known = self._known[tenant].get(hook_id) if tenant in self._known else None
        return None if known is None or known.hook.deleted else known

    async def load(self, tenant: str, hook_id: str) -> Known | None:
        stored = await self._ledger.last(subjects.hook(TenantId(tenant), hook_id))
        return None if stored is None else Known(HookRecord.model_validate_json(stored.body).hook, stored.seq)

    def of(self, tenant: str) -> Sequence[Hook]:
        return [known.hook for known in self._known[tenant].values() if not known.hook.deleted] if tenant in self._known else ()

    def anybody(self, tenant: str) -> bool:
        return tenant in self._concerned

    def none(self) -> bool:
        return not self._concerned

    def concerned(self, tenant: str, submitter: str) -> Sequence[Hook]:
        if tenant not in self._concerned:
            return ()
        of = self._concerned[tenant]
        return [hook for whose in (None, submitter) if whose in of for hook in of[whose].values()]

    async def settled(self) -> None:
        newest = await self._ledger.newest()
        try:
            async with asyncio.timeout(KNOWN_WITHIN):
                while self._seq < newest:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            raise Unavailable("the list of webhooks is behind; try again in a moment", code="VIEWS_BEHIND") from None

    async def append(self, record: HookRecord, expect: int, id: str) -> Known:
        hook = record.hook
        subject, body = subjects.hook(TenantId(hook.tenant), hook.id), record.model_dump_json().encode()
        seq = await self._ledger.append(subject, body, expect=expect, id=id)
        log.info(record.fact.value, webhook=hook.id, tenant=hook.tenant, by=record.by)
        return self._learn(hook, seq)

    def seal(self, tenant: str, hook_id: str, secret: str) -> str:
        return self._sealing.seal(_place(tenant, hook_id), secret)

    def opened(self, hook: Hook, sealed: str) -> str | None:
        key = hook.id, sealed
        if key not in self._opened:
            if len(self._opened) > 10_000:
                self._opened.clear()
            self._opened[key] = self._sealing.opened(_place(hook.tenant, hook.id), sealed)
        return self._opened[key]

    async def _take(self, records: AsyncIterator[Stored]) -> None:
        async for stored in records:
            try:
                self._learn(HookRecord.model_validate_json(stored.body).hook, stored.seq)
            except ValidationError:  # written by a version that knows more; one entry must not end the relay
                log.error("webhook.unreadable", subject=stored.subject)
            self._seq = max(self._seq, stored.seq)
            self._moved.set()

    def _learn(self, hook: Hook, seq: int) -> Known:
        before = self._known[hook.tenant].get(hook.id)
        if before is None or before.seq < seq:
            self._known[hook.tenant][hook.id] = Known(hook, seq)
            self._listen(hook)
        return self._known[hook.tenant][hook.id]

    def _listen(self, hook: Hook) -> None:
        submitters = self._concerned[hook.tenant]
        alike = submitters[hook.owner if hook.own_only else None]
        if hook.deleted:
            alike.pop(hook.id, None)
        else:
            alike[hook.id] = hook
        if not alike:
            submitters.pop(hook.owner if hook.own_only else None)
        if not submitters:
            self._concerned.pop(hook.tenant)


def _place(tenant: str, hook_id: str) -> str:
    """What a secret is sealed for, so that none is of use in another place."""
    return f"webhook/{tenant}/{hook_id}"
