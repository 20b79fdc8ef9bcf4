"""A channel's past at its own pace: what the history tells, as far apart as it was, then what comes; nothing missing and nothing twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import ClientSession, ClientTimeout, WSMsgType

from tests.dialects.omni.hearing import KEY, events, hearing, kinds, token
from tests.dialects.omni.stories import TASK, merged, runs_ill, runs_well, started, submitted
from tests.dialects.omnis import OmniTerms
from tests.dialects.world import World, served, talking
from trunkline.contracts.run import Phase, PhaseBegan
from trunkline_gateway.dialects.omni import encode
from trunkline_gateway.dialects.omni.names import STATUS
from trunkline_gateway.sockets import Manners
from trunkline_gateway.sse import StreamLimits

BAD = ["0", "-1", "nan", "inf", "1e9", "0.09", "100.1", "fast", "", "1,5"]
UPGRADE = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}


async def small(**terms: Any) -> World:
    """With a job that went well: ten messages in some seconds."""
    world = World(omni=OmniTerms(signing_keys=(KEY,), **terms))
    await world.say(TASK, submitted())
    await runs_well(world)
    return world


@pytest.mark.parametrize("speed", ["100", "50.5"])
async def test_a_replay_tells_what_the_history_tells_as_far_apart_as_it_was(speed: str) -> None:
    async with talking(await small()) as session:
        jwt = await token(session, history=True)
        async with hearing(session, jwt) as history:
            whole = await history.until(10)
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with hearing(session, jwt, speed=speed) as replay:
            assert await replay.until(10) == whole
        assert loop.time() - began > 0.5 * 7 / float(speed), "seven seconds lie between the first message and the last"
        async with session.get("/v1/realtime/sse", params={"token": jwt, "speed": speed}) as answer:
            assert [frame for _, frame in await events(answer, 10)] == whole


async def test_after_the_past_comes_what_happens_and_none_of_it_is_lost_or_told_twice() -> None:
    world = await small()
    async with talking(world) as session, hearing(session, await token(session, history=True), speed="100") as heard:
        for number in range(15):
            await world.say(f"{number:032x}", submitted(f"task {number}", f"job_{number}"))
            await runs_ill(world, f"{number:032x}")
            await asyncio.sleep(0.001 * (number % 3))
        frames = await heard.until(10 + 15 * 5)
        assert len({frame["stream_id"] for frame in frames}) == len(frames)
        assert [frame["data"]["taskId"] for frame in frames[10::5]] == [f"task {number}" for number in range(15)]
        await world.say(TASK, merged())
        assert kinds((await heard.until(len(frames) + 1))[-1:]) == ["MERGED"]


async def test_a_replay_resumes_behind_what_was_heard_last_and_tells_the_topics_of_its_ticket_alone() -> None:
    async with talking(await small()) as session:
        async with hearing(session, await token(session, history=True)) as history:
            places = [frame["stream_id"] for frame in await history.until(10)]
        async with hearing(session, await token(session, history=True), speed="100", lastEventId=places[6]) as back:
            assert [frame["stream_id"] for frame in await back.until(3)] == places[7:]
        async with hearing(session, await token(session, (STATUS,), history=True), speed="100") as status:
            assert kinds(await status.until(2)) == ["IN_PROGRESS", "DONE"]


async def test_without_a_past_there_is_nothing_to_replay_and_what_comes_comes_at_once() -> None:
    world = await small()
    async with talking(world) as session, hearing(session, await token(session), speed="0.1") as heard:
        await world.say(TASK, merged())
        assert kinds(await heard.until(1)) == ["MERGED"]


async def test_a_reader_that_waits_in_a_replay_is_pinged_answered_and_closed_by_a_stop() -> None:
    world = await small(manners=Manners(encode.PING, ping_s=0.05, silent_s=2.0))
    async with served(world) as gateway, ClientSession(gateway.url, timeout=ClientTimeout(30)) as session:
        query = {"token": await token(session, history=True), "speed": "0.1"}
        async with session.ws_connect("/v1/realtime/connect", params=query, autoping=True) as ws:
            async with asyncio.timeout(20):
                pings = 0
                while pings < 45:  # longer than whoever is silent may stay
                    pings += (await ws.receive_json())["kind"] == "ping"
                gateway.streams.end()
                assert (await ws.receive()).type is WSMsgType.CLOSE
        assert ws.close_code == 1001


async def test_whoever_leaves_in_the_middle_of_a_replay_leaves_nothing_behind() -> None:
    world = await small()
    async with talking(world) as session:
        async with hearing(session, await token(session, history=True), speed="0.1") as heard:
            await heard.until(1)
            assert world.readers == 1
        async with asyncio.timeout(10):
            while world.readers:  # noqa: ASYNC110  # nobody says when the gateway has seen it
                await asyncio.sleep(0.01)


async def test_events_live_while_a_replay_waits() -> None:
    world = await small()
    limits = StreamLimits(heartbeat=0.05)
    async with served(world, limits) as gateway, ClientSession(gateway.url, timeout=ClientTimeout(30)) as session:
        query = {"token": await token(session, history=True), "speed": "0.1"}
        async with session.get("/v1/realtime/sse", params=query) as answer:
            await events(answer, 1)
            for _ in range(3):
                assert await answer.content.readuntil(b": keep-alive\n\n")


async def test_a_long_past_is_told_page_by_page() -> None:
    world = World(omni=OmniTerms(signing_keys=(KEY,)))
    await world.say(TASK, submitted())
    await world.say(TASK, *started())
    for number in range(70):
        await world.say(TASK, PhaseBegan(phase=Phase.AGENT, message=str(number)))
    async with talking(world) as session:
        jwt = await token(session, history=True)
        async with hearing(session, jwt) as history, hearing(session, jwt, speed="100") as replay:
            whole = await history.until(72)
            assert await replay.until(72) == whole


@pytest.mark.parametrize("speed", BAD)
async def test_a_speed_that_is_none_is_refused_in_the_words_of_the_surface(speed: str) -> None:
    async with talking(await small()) as session:
        query = {"token": await token(session, history=True), "speed": speed}
        for way, headers in (("sse", {}), ("connect", UPGRADE)):
            async with session.get(f"/v1/realtime/{way}", params=query, headers=headers) as answer:
                said = (await answer.json())["error"]
                assert (answer.status, said["code"], said["details"]["field"]) == (400, "VALIDATION_ERROR", "speed")
                assert said["message"] == "speed: must be a number from 0.1 to 100, such as 0.5 or 10"
