"""Signs of life on a real nats-server: the last one is known to everybody, and told to whoever listens."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from trunkline.bus import BusSettings, connect
from trunkline.bus.beats import MOST, GatheredBeats, Sign
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.testing.nats import nats_server

pytestmark = pytest.mark.flow

ACME, TASK, OTHER = TenantId("acme"), TaskId("a" * 32), TaskId("b" * 32)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


async def test_the_last_sign_of_life_is_known_and_told_and_nobody_elses() -> None:
    with nats_server() as server:
        async with connect(BusSettings(nats_url=server.url), "gateway") as one, connect(BusSettings(nats_url=server.url), "router") as two:
            heard: asyncio.Queue[datetime] = asyncio.Queue()
            async with two.beats.heard(ACME, TASK, heard.put_nowait):
                await two.client.flush()
                await two.client.flush()  # the first may overtake the subscription in the client's own queue
                await one.beats.put(ACME, OTHER, NOW)
                for seconds in (0, 30):
                    await one.beats.put(ACME, TASK, NOW + timedelta(seconds=seconds))
                async with asyncio.timeout(5):
                    assert [await heard.get(), await heard.get()] == [NOW, NOW + timedelta(seconds=30)]
            await one.client.flush()
            assert await two.beats.last(ACME, TASK) == NOW + timedelta(seconds=30)
            assert await two.beats.last(ACME, TaskId("c" * 32)) is None


async def test_signs_that_wait_for_company_are_known_here_at_once_and_told_elsewhere_the_newest_only_with_any_heartbeat() -> None:
    with nats_server() as server:
        async with connect(BusSettings(nats_url=server.url), "gateway") as one, connect(BusSettings(nats_url=server.url), "router") as two:
            gathered, heard = GatheredBeats(one.beats), asyncio.Queue[datetime]()
            last, later = TaskId(f"{MOST:032x}"), NOW + timedelta(seconds=30)
            async with two.beats.heard(ACME, TASK, heard.put_nowait), two.beats.heard(ACME, last, heard.put_nowait):
                await two.client.flush()
                await two.client.flush()  # the first may overtake the subscription in the client's own queue
                await gathered.put(ACME, TASK, NOW)
                await gathered.put(ACME, TASK, later)
                assert await gathered.last(ACME, TASK) == later
                assert await gathered.last(ACME, OTHER) is None
                async with asyncio.timeout(5):
                    assert await heard.get() == later
                    for number in range(1, MOST + 1):  # as many as may wait do not wait
                        await gathered.put(ACME, TaskId(f"{number:032x}"), NOW)
                    assert await heard.get() == NOW
                assert heard.empty(), "a sign that was overtaken is told to nobody"
                await gathered.put(ACME, TASK, NOW, heartbeat=True)
                await gathered.put(ACME, TASK, later)
                async with asyncio.timeout(5):
                    assert await heard.get() == later
                    while await two.beats.sign(ACME, TASK) != Sign(later, heartbeat=True):  # noqa: ASYNC110 (nobody says when it lies in the stream)
                        await asyncio.sleep(0.01)
