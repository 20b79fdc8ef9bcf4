"""A word of an agent and the takeover of its task, stored at the same moment: whichever is second is refused, however close they are."""

from __future__ import annotations

import asyncio

import pytest

from tests.campaigns import LONG
from trunkline.bus import Bus, BusSettings, Raced, connect
from trunkline.contracts import subjects
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.lease import TaskAnswered
from trunkline.contracts.record import Record
from trunkline.runtime.clock import now
from trunkline.testing.nats import nats_cluster, nats_server

pytestmark = pytest.mark.flow

NAMES = TenantId("acme"), TaskId("one")
TASK, OUTPUT = subjects.event(*NAMES, "task"), subjects.event(*NAMES, "output")
ROUNDS = 60


def record() -> Record:
    return Record(at=now(), facts=(TaskAnswered(approval_id="a"),))


async def taken_over(bus: Bus, name: str, expect: int) -> int:
    """In a cluster what is under way holds the fence for a moment, so it takes more than one try."""
    for turn in range(200):
        try:
            return await bus.log.append(TASK, record(), expect=expect, id=f"{name}.{turn}")
        except Raced:
            await asyncio.sleep(0.005)
    raise AssertionError("nobody could take it over")


async def said(bus: Bus, name: str, expect: int) -> int | None:
    try:
        return await bus.log.say_while(OUTPUT, record(), id=name, fence=(TASK, expect))
    except Raced:
        return None


async def passed_each_other(url: str, replicas: int) -> tuple[int, int]:
    """How many words lay behind the takeover that they did not know of, and how many were stored in all."""
    async with connect(BusSettings.model_validate({"nats_url": url, "replicas": replicas}), "test") as bus:
        newest, late, stored = await taken_over(bus, "first", 0), 0, 0
        for turn in range(ROUNDS):
            async with asyncio.TaskGroup() as group:
                first = (group.create_task(said(bus, f"s{turn}", newest)),) if turn % 2 else ()
                taking = group.create_task(taken_over(bus, f"t{turn}", newest))
                (saying,) = first or (group.create_task(said(bus, f"s{turn}", newest)),)
            newest, word = taking.result(), saying.result()
            stored += word is not None
            late += word is not None and word > newest
        return late, stored


async def test_no_word_lies_behind_a_takeover() -> None:
    with nats_server() as server:
        late, stored = await passed_each_other(server.url, 1)
        assert (late, 0 < stored < ROUNDS) == (0, True)


@pytest.mark.skipif(not LONG, reason="a cluster of three: make campaigns")
async def test_no_word_lies_behind_a_takeover_in_a_cluster() -> None:
    with nats_cluster(3) as servers:
        late, stored = await passed_each_other(",".join(server.url for server in servers), 3)
        assert (late, stored > 0) == (0, True)


async def test_the_same_word_again_is_stored_once() -> None:
    with nats_server() as server:
        async with connect(BusSettings.model_validate({"nats_url": server.url}), "test") as bus:
            fence = await taken_over(bus, "first", 0)
            assert await said(bus, "s", fence) == await said(bus, "s", fence)
