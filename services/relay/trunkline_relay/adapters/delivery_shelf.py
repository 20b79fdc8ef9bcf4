"""Deliveries as they lie in their stream: the newest record of each is the whole of it."""

from __future__ import annotations

import re
from typing import Final

from trunkline.bus import Ledger, Stored
from trunkline.contracts import subjects
from trunkline.contracts.errors import Invalid
from trunkline.contracts.ids import TenantId
from trunkline.contracts.webhook import DeliveryPage, DeliveryView, ListDeliveries
from trunkline_relay.adapters.stored_at import stored_at
from trunkline_relay.ports import DeadFound, Kept

FIRST_WINDOW: Final = 256
WIDER: Final = 4
DENSE: Final = 1_024
"""Where much lies: behind each window the reader fetches a page that nobody wants."""
WIDEST: Final = 16_384
MOST_WINDOWS: Final = 500
MOST_LOOKED_AT: Final = 5_000
"""Deliveries that one page may cost; it is short then, and the next one goes on from there."""
LARGEST_PAGE: Final = 1_000_000
"""Bytes: below what one message on the bus may have."""
_CURSOR: Final = re.compile(r"\A[0-9]{1,18}\Z")


def read(stored: Stored) -> Kept:
    return Kept(DeliveryView.model_validate_json(stored.body), stored.seq, stored.trace)


class DeliveryShelf:
    """ports.Deliveries. To be started."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def start(self) -> None:
        await self._ledger.start()

    async def append(self, delivery: DeliveryView, expect: int) -> int:
        subject = subjects.delivery(TenantId(delivery.tenant), delivery.hook_id, delivery.id)
        name = f"{delivery.id}:{delivery.round}:{delivery.tries}:{delivery.status}:{delivery.put_off}"
        return await self._ledger.append(subject, delivery.written(), expect=expect, id=name)

    async def load(self, tenant: str, hook_id: str, delivery_id: str) -> Kept | None:
        stored = await self._ledger.last(subjects.delivery(TenantId(tenant), hook_id, delivery_id))
        return read(stored) if stored else None

    async def page(self, query: ListDeliveries) -> DeliveryPage:
        found = await self._found(query)
        if query.statuses:
            return found
        total = await self._ledger.count(subjects.deliveries_of(TenantId(query.tenant), query.hook_id))
        return found.model_copy(update={"total": total})

    async def dead(self, query: ListDeliveries) -> DeadFound:
        found, before, reached = await self._walked(subjects.delivered_of(TenantId(query.tenant)), query)
        return DeadFound(found, None if before is None else str(before), stored_at(reached) if reached else None)

    async def _found(self, query: ListDeliveries) -> DeliveryPage:
        found, before, _ = await self._walked(subjects.deliveries_of(TenantId(query.tenant), query.hook_id), query)
        return DeliveryPage(deliveries=tuple(kept.delivery for kept in found), next=None if before is None else str(before))

    async def _walked(self, subject: str, query: ListDeliveries) -> tuple[list[Kept], int | None, Stored | None]:
        """Walks the stream backwards in windows that grow while they hold little; at last what was looked at last."""
        oldest, last = await self._ledger.bounds()
        first = max(oldest, 1)  # an empty stream says 0, where nothing ever lies
        end = min(last, _before(query.after)) if query.after else last
        found: list[Kept] = []
        reached: Stored | None = None
        heads = tuple(f'{{"status":"{status}"'.encode() for status in query.statuses)
        looked, size, window, windows = 0, 0, FIRST_WINDOW, 0
        while end >= first and looked < MOST_LOOKED_AT and windows < MOST_WINDOWS:
            start, windows = max(end - window + 1, first), windows + 1
            for reached in reversed(await self._window(subject, start, end)):
                looked += 1
                if heads and not reached.body.startswith(heads):  # to read one whole is dear, and hardly any is dead
                    continue
                kept = read(reached)
                size += len(kept.delivery.body) + (len(kept.delivery.answer.body) if kept.delivery.answer else 0)
                if found and (len(found) >= query.limit or size * 2 > LARGEST_PAGE):
                    return found, found[-1].seq, None
                found.append(kept)
            end, window = start - 1, min(window * WIDER, WIDEST) if looked < FIRST_WINDOW else max(window, DENSE)
        return found, end + 1 if end >= first else None, reached

    async def _window(self, subject: str, start: int, end: int) -> list[Stored]:
        found: list[Stored] = []
        async for stored in self._ledger.read(subject, start):
            if stored.seq > end:
                break
            found.append(stored)
        return found


def _before(cursor: str) -> int:
    """The last sequence that lies behind what was shown. Raises Invalid."""
    if not _CURSOR.match(cursor):
        raise Invalid("that is no place in a list of deliveries; take `next` of the page before", code="BAD_CURSOR")
    return int(cursor) - 1
