"""The polling form of the channel: from which place on it is told, and what that costs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.dialects.omni.stories import CALLERS, TASK, answered, merged, preflight, runs_well, started, submitted
from tests.dialects.world import EPOCH, World, talking
from trunkline.auth.principal import HOME, Principal, Role
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.record import Event, Gap
from trunkline.contracts.task import TaskSucceeded
from trunkline_gateway.ports import Timeline

ANN = Principal(HOME, "ann", Role.AGENT)


@dataclass
class Counting(World):
    """Knows how many facts each reading gave."""

    read: list[int] = field(default_factory=list)

    async def recent(self, timeline: Timeline, after: Cursor | None) -> AsyncIterator[Event | Gap]:
        self.read.append(0)
        async for item in super().recent(timeline, after):
            self.read[-1] += isinstance(item, Event)
            yield item


async def polled(session: ClientSession, after: str | None = None) -> dict[str, Any]:
    query = {"taskId": CALLERS, **({"after": after} if after else {})}
    async with session.get("/api/task/results", params=query) as answer:
        assert answer.status == 200, await answer.text()
        return dict(await answer.json())


def kinds(said: dict[str, Any]) -> list[str]:
    return [each["message"]["type"] for each in said["results"]]


@pytest.mark.parametrize("epoch", ["zzzzzzzz", "0000"])
async def test_a_place_in_another_life_of_the_log_hides_nothing(epoch: str) -> None:
    world = World(principal=ANN)
    await world.say(TASK, submitted())
    await runs_well(world)
    async with talking(world) as session:
        whole = await polled(session)
        assert kinds(whole)[-2:] == ["result", "done"]
        assert await polled(session, f"{epoch}-1_0") == whole
        assert kinds(await polled(session, whole["next"])) == []


async def test_polls_one_after_the_other_give_every_message_once_and_read_every_fact_once() -> None:
    world = Counting(principal=ANN)
    await world.say(TASK, submitted())
    told: list[str] = []
    async with talking(world) as session:
        after, statuses = None, []
        for facts in ((), started(), preflight(), (), answered(), (TaskSucceeded(),), (), (merged(),), ()):
            if facts:
                await world.say(TASK, *facts)
            said = await polled(session, after)
            told += kinds(said)
            statuses.append((said["status"], said["done"]))
            after = said["next"]
        whole = await polled(session)
    assert told == kinds(whole)
    assert told[-2:] == ["result", "done"]
    assert statuses == [("IN_PROGRESS", False)] * 5 + [("DONE", True)] * 2 + [("MERGED", True)] * 2
    assert world.read[2:9] == [3, 0, 3, 1, 0, 1, 0], "each poll begins where the one before ended"
    assert whole["status"] == "MERGED"


async def test_two_who_poll_at_their_own_pace_hear_the_same() -> None:
    world = World(principal=ANN)
    await world.say(TASK, submitted())
    await world.say(TASK, *started())
    async with talking(world) as session:
        first = await polled(session)
        await world.say(TASK, *preflight())
        second = await polled(session, first["next"])
        await world.say(TASK, *answered(), TaskSucceeded())
        slow, quick = await polled(session, first["next"]), await polled(session, second["next"])
    assert slow["results"] == second["results"] + quick["results"]
    assert {**slow, "results": []} == {**quick, "results": []}


async def test_who_polls_on_after_the_log_began_anew_is_told_the_whole_of_it() -> None:
    world = World(principal=ANN)
    await world.say(TASK, submitted())
    await runs_well(world)
    async with talking(world) as session:
        before = await polled(session)
        world.events, world.epoch = [], "a1b2"
        await world.say(TASK, submitted())
        await runs_well(world)
        after = await polled(session, before["next"])
    assert before["next"].startswith(EPOCH)
    assert after["next"].startswith("a1b2")
    assert kinds(after) == kinds(before)
