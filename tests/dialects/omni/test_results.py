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
from trunkline.contracts.run import Phase, PhaseBegan
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


async def polled(session: ClientSession, after: str | None = None, limit: int | None = None) -> dict[str, Any]:
    query = {"taskId": CALLERS, **({"after": after} if after else {}), **({"limit": str(limit)} if limit else {})}
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


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_pages_give_every_message_once_and_are_done_with_the_last(limit: int) -> None:
    world = World(principal=ANN)
    await world.say(TASK, submitted())
    await runs_well(world)
    pages, after = list[dict[str, Any]](), None
    async with talking(world) as session:
        whole = await polled(session)
        while not pages or pages[-1]["more"]:
            pages.append(await polled(session, after, limit))
            after = pages[-1]["next"]
        again = await polled(session, after, limit)
    assert [told for page in pages for told in page["results"]] == whole["results"]
    assert max(len(page["results"]) for page in pages) <= limit
    assert [page["done"] for page in pages] == [False] * (len(pages) - 1) + [True], "whoever asks until it is done hears all"
    assert (again["results"], again["more"], again["done"]) == ([], False, True)


async def test_a_page_costs_what_it_holds_and_not_what_is_behind_it() -> None:
    world = Counting(principal=ANN)
    await world.say(TASK, submitted())
    await world.say(TASK, *started(), *(PhaseBegan(phase=Phase.AGENT, message=f"line {number}") for number in range(3000)))
    async with talking(world) as session:
        first = await polled(session, limit=1000)
        second = await polled(session, first["next"], 10)
        refused = [
            (await session.get("/api/task/results", params={"taskId": CALLERS, "limit": text})).status for text in ("0", "1001", "x")
        ]
    assert (len(first["results"]), first["more"], first["status"]) == (1000, True, "IN_PROGRESS")
    assert [told["message"]["data"] for told in second["results"]] == [f"line {number}" for number in range(999, 1009)]
    assert world.read[0] < 1100 and world.read[1] < 20
    assert refused == [400, 400, 400]


async def test_who_polls_without_a_place_hears_how_a_long_job_ended() -> None:
    world = World(principal=ANN)
    await world.say(TASK, submitted())
    await world.say(TASK, *started(), *(PhaseBegan(phase=Phase.AGENT, message=f"line {number}") for number in range(1500)))
    await world.say(TASK, *answered(), TaskSucceeded())
    async with talking(world) as session:
        newest = await polled(session)
        onward = await polled(session, newest["next"])
    assert (len(newest["results"]), newest["status"], newest["done"], newest["more"]) == (1000, "DONE", True, False)
    assert kinds(newest)[-2:] == ["result", "done"]
    assert (onward["results"], onward["status"], onward["done"]) == ([], "DONE", True)


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
