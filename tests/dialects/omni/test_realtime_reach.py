"""How far back a ticket lets its holder hear, whatever place is named, and what is said where that is not as far as was asked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.dialects.omni.hearing import KEY, events, hearing, token
from tests.dialects.omni.stories import TASK, merged, runs_well, submitted
from tests.dialects.omnis import OmniTerms
from tests.dialects.world import EPOCH, World, talking

LATER = "d4" * 16
UPGRADE = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
FIRST = f"{EPOCH}-1_0"
LOST = "old1-7_0"
GAP = {"kind": "gap"}


async def past(**terms: Any) -> World:
    """Two jobs of ten messages, one after the other; a second passes with every fact, and with nothing else."""
    world = World(omni=OmniTerms(signing_keys=(KEY,), **terms))
    await world.say(TASK, submitted())
    await runs_well(world)
    await world.say(LATER, submitted("second", "job_2"))
    await runs_well(world, LATER)
    return world


async def told(session: ClientSession, jwt: str, count: int, **query: str) -> tuple[list[str], bool]:
    """The ids of what comes first, the same either way, and whether a gap was said before it."""
    async with hearing(session, jwt, **query) as heard:
        ids = [frame["stream_id"] for frame in await heard.until(count)]
        gap = GAP in heard.others
    async with session.get("/v1/realtime/sse", params={"token": jwt, **query}) as answer:
        async with asyncio.timeout(10):
            assert (await answer.content.readuntil(b"\n\n")).startswith(b": open")
            opening = await answer.content.readuntil(b"\n\n")
        assert opening.startswith(b": gap") is gap
        more = await events(answer, count if gap else count - 1)
    assert [place for place, _ in more] == (ids if gap else ids[1:])
    assert gap or opening.startswith(f"id: {ids[0]}\n".encode())
    return ids, gap


async def everything(session: ClientSession) -> list[str]:
    async with hearing(session, await token(session, history=True)) as heard:
        return [frame["stream_id"] for frame in await heard.until(20)]


@pytest.mark.parametrize("query", [{"lastEventId": FIRST}, {"from": FIRST}, {"lastEventId": FIRST, "speed": "100"}])
async def test_a_ticket_without_history_reaches_back_as_long_as_it_lives_whatever_is_named(query: dict[str, str]) -> None:
    async with talking(await past(realtime_token_s=7)) as session:
        ids = await everything(session)
        assert await told(session, await token(session), 8, **query) == (ids[12:], True)


@pytest.mark.parametrize("name", ["lastEventId", "from"])
async def test_a_ticket_since_a_moment_reaches_no_further_back_whatever_is_named(name: str) -> None:
    world = await past()
    submitted_at = next(event.at for event in world.events if event.task == LATER)
    async with talking(world) as session:
        ids = await everything(session)
        jwt = await token(session, since=round(submitted_at.timestamp() * 1000))
        assert await told(session, jwt, 10, **{name: FIRST}) == (ids[10:], True)


async def test_nobody_hears_what_lies_further_back_than_history_does() -> None:
    world = await past(realtime_history_s=7)
    async with talking(world) as session:
        jwt = await token(session, history=True)
        async with hearing(session, jwt) as heard:
            ids = [frame["stream_id"] for frame in await heard.until(8)]
        assert await told(session, await token(session), 8, lastEventId=FIRST) == (ids, True)
        for _ in range(6):
            await world.say(TASK, merged())
        (first,), gap = await told(session, jwt, 1)
        assert first in ids[1:] and not gap, "time went on since the ticket was made"


async def test_whoever_comes_back_in_time_misses_nothing_and_hears_of_no_gap() -> None:
    async with talking(await past()) as session:
        ids = await everything(session)
        assert await told(session, await token(session), 14, lastEventId=ids[5]) == (ids[6:], False)


async def test_whoever_has_heard_all_hears_of_no_gap_however_long_ago_that_was() -> None:
    world = await past(realtime_token_s=7)
    async with talking(world) as session, hearing(session, await token(session)) as heard:
        await world.say(TASK, merged())
        last = (await heard.until(1))[0]["stream_id"]
        for number in range(20):
            await world.say(f"{number:032x}", submitted(surface="pr_agent"))
        async with hearing(session, await token(session), lastEventId=last) as back:
            await world.say(LATER, merged())
            assert len(await back.until(1)) == 1
            assert back.others == []


async def test_from_begins_with_the_event_that_it_names_and_what_was_heard_last_wins() -> None:
    async with talking(await past()) as session:
        ids = await everything(session)
        jwt = await token(session, history=True)
        for first in (0, 5, 9, 17):
            assert await told(session, jwt, 20 - first, **{"from": ids[first]}) == (ids[first:], False)
        assert await told(session, jwt, 5, **{"from": ids[15], "speed": "100"}) == (ids[15:], False)
        assert await told(session, jwt, 2, **{"from": ids[3], "lastEventId": ids[17]}) == (ids[18:], False)


@pytest.mark.parametrize("query", [{"from": "soon"}, {"from": f"{EPOCH}-1"}, {"lastEventId": "soon"}])
async def test_a_place_that_is_none_is_refused_in_the_words_of_the_surface(query: dict[str, str]) -> None:
    async with talking(await past()) as session:
        for way, headers in (("sse", {}), ("connect", UPGRADE)):
            async with session.get(f"/v1/realtime/{way}", params={"token": await token(session), **query}, headers=headers) as answer:
                said = (await answer.json())["error"]
                assert (answer.status, said["code"], said["details"]["reason"]) == (400, "VALIDATION_ERROR", "BAD_EVENT_ID")


async def test_from_may_be_given_once() -> None:
    async with talking(await past()) as session:
        query = [("token", await token(session)), ("from", FIRST), ("from", FIRST)]
        async with session.get("/v1/realtime/sse", params=query) as answer:
            assert (answer.status, (await answer.json())["error"]["details"]["field"]) == (400, "from")


@pytest.mark.parametrize("name", ["lastEventId", "from"])
async def test_a_websocket_says_too_that_what_was_named_is_of_a_lost_log(name: str) -> None:
    world = await past()
    async with talking(world) as session:
        async with hearing(session, await token(session), **{name: LOST}) as heard:
            await world.say(TASK, merged())
            await heard.until(1)
            assert heard.others == [GAP]
        async with hearing(session, await token(session)) as new:
            await world.say(TASK, merged())
            await new.until(1)
            assert new.others == []
