"""The first reader of a stream may leave at any moment; everybody else's bus must not notice."""

import asyncio
from contextlib import suppress

import pytest

from trunkline.bus import Bus, BusSettings, connect
from trunkline.contracts import subjects
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.testing.nats import nats_server

TENANT, TASK = TenantId("acme"), TaskId("t1")

pytestmark = pytest.mark.flow


async def look_and_leave(bus: Bus, after_turns: int) -> None:
    """Leaves after so many turns of the loop, which is in the midst of subscribing for some of them."""

    async def read() -> None:
        async for _ in bus.live.follow(TENANT, TASK, None):
            pass

    reader = asyncio.create_task(read())
    for _ in range(after_turns):
        await asyncio.sleep(0)
    reader.cancel()
    with suppress(asyncio.CancelledError):
        await reader


async def test_a_first_reader_that_leaves_at_once_breaks_no_connection_and_leaves_one_subscription() -> None:
    with nats_server() as server:
        for turns in range(1, 16):
            async with connect(BusSettings(nats_url=server.url), "test") as bus:
                await look_and_leave(bus, turns)
                await look_and_leave(bus, turns)
                await asyncio.sleep(0.05)
                heard = [sub for sub in bus.client._subs.values() if sub.subject == subjects.ALL_LIVE]
                assert (bus.connected, bus.client.stats["reconnects"], len(heard)) == (True, 0, 1), f"left after {turns} turns"
