"""Everything that happened to a tenant of a small world, record by record, as the log would tell it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from functools import partial

from trunkline.contracts.cursor import Cursor
from trunkline.contracts.ids import TenantId
from trunkline.contracts.record import Event
from trunkline_gateway.ports import Passage


async def recent(events: Sequence[Event], tenant: TenantId, after: Cursor) -> AsyncGenerator[Passage, None]:
    for passage in passages(events, tenant, after):
        yield passage


async def following(events: Sequence[Event], changed: asyncio.Condition, tenant: TenantId, after: Cursor) -> AsyncGenerator[Passage, None]:
    while True:
        for passage in passages(events, tenant, after):
            after = passage.at
            yield passage
        async with changed:
            while not passages(events, tenant, after):
                await changed.wait()


def passages(events: Sequence[Event], tenant: TenantId, after: Cursor) -> list[Passage]:
    records: dict[int, list[Event]] = {}
    for event in events:
        if event.tenant == tenant and event.cursor.seq > after.seq:
            records.setdefault(event.cursor.seq, []).append(event)
    return [Passage(told[0].task, told[0].part, told[0].cursor, partial(tuple, told)) for told in records.values()]


def last_before(events: Sequence[Event], moment: datetime) -> int:
    seqs = [event.cursor.seq for event in events if event.at < moment]
    return seqs[-1] if seqs else 0
