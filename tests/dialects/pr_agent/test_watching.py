"""Attaching to a job, and the demonstration: the streams besides the one that a job is answered with."""

from __future__ import annotations

import json

import pytest
from aiohttp import ClientSession

from tests.dialects.pr_agent import stories
from tests.dialects.pr_agent.test_streams import a_job, parsed, play, told
from tests.dialects.world import World, served, talking
from trunkline_gateway.sse import StreamLimits

DEMONSTRATION = "/api/pr-agent/test-stream"


async def test_whoever_attaches_to_a_finished_job_gets_its_story_and_the_end() -> None:
    world = World()
    async with a_job(world) as (_, session, task, stream):
        await play(world, task, stories.WHOLE)
        watch = stream.replace("/stream", "/watch")
        assert await told(session, watch) == await told(session, stream)
        last_but_one = (await told(session, watch))[-2][0]
        rest = await told(session, watch, **{"Last-Event-ID": str(last_but_one)})
        assert [said["type"] for _, said in rest] == ["result"]


async def test_whoever_attaches_to_a_live_job_gets_its_story_and_then_what_happens() -> None:
    world = World()
    async with a_job(world) as (_, session, task, stream):
        await play(world, task, stories.STARTED)
        async with session.get(stream.replace("/stream", "/watch")) as response:
            assert b'"Queued"' in await response.content.readuntil(b'"Queued"')
            await play(world, task, [*stories.WORKED, *stories.SUCCEEDED])
            assert b'"type":"result"' in (await response.content.read())


async def test_nobody_attaches_to_a_job_that_there_is_not() -> None:
    async with talking(World()) as session, session.get("/api/pr-agent/00000000-0000-0000-0000-000000000000/watch") as response:
        assert (response.status, (await response.json())["code"]) == (404, "NOT_FOUND")


async def demonstrated(session: ClientSession, **query: str) -> list[tuple[str | None, dict[str, object]]]:
    async with session.get(DEMONSTRATION, params={"speed": "100", **query}) as response:
        assert (response.status, response.headers["Content-Type"]) == (200, "text/event-stream")
        return parsed(await response.text())


async def test_the_demonstration_shows_every_kind_of_event_once_and_ends() -> None:
    async with talking(world := World()) as session:
        events = [said for _, said in await demonstrated(session)]
    assert [said["phase"] for said in events if said["type"] == "status" and said["message"] != "Queued" and "ready" not in str(said)] == [
        "sandbox", "clone", "agent", "push", "pr",
    ]  # fmt: skip
    assert [said["eventType"] for said in events if said["type"] == "agent"] == ["thinking", "tool_call", "tool_result", "message"]
    assert [said["type"] for said in events].count("result") == 1
    assert events[-1]["type"] == "result"
    assert world.events == [], "nothing runs and nothing is kept"


async def test_the_demonstration_ends_badly_when_that_is_wanted() -> None:
    async with talking(World()) as session:
        events = [said for _, said in await demonstrated(session, outcome="error")]
    assert "result" not in {said["type"] for said in events}
    assert events[-1] | {"timestamp": "", "jobId": ""} == {
        "type": "error", "timestamp": "", "jobId": "", "error": "the forge refused the push", "code": "PUSH_REFUSED",
        "recoverable": False,
    }  # fmt: skip


async def test_the_demonstration_is_gone_on_with_where_it_was_left() -> None:
    async with talking(World()) as session:
        whole = await demonstrated(session)
        rest = await demonstrated(session, lastEventId=str(whole[4][0]))
        assert [id for id, _ in rest] == [id for id, _ in whole[5:]]
        assert await demonstrated(session, lastEventId=str(whole[-1][0])) == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("speed=0", "INVALID_SPEED"),
        ("speed=1000", "INVALID_SPEED"),
        ("speed=fast", "INVALID_SPEED"),
        ("speed=1&speed=2", "INVALID_SPEED"),
        (f"from={'x' * 101}", "BAD_EVENT_ID"),
        ("from=x", "BAD_EVENT_ID"),
        ("outcome=maybe", "INVALID_REQUEST"),
    ],
)
async def test_a_demonstration_that_cannot_be_is_refused_as_any_stream(query: str, code: str) -> None:
    async with talking(World()) as session, session.get(f"{DEMONSTRATION}?{query}") as response:
        assert (response.status, json.loads(await response.text())["code"]) == (400, code)


@pytest.mark.parametrize("way", ["stream", "watch", "replay"])
@pytest.mark.parametrize("query", ["speed=1&speed=50", "from=k-1&from=k-2", "lastEventId=k-1&lastEventId=k-2", "speed=%00"])
async def test_what_is_said_twice_of_a_stream_is_refused(way: str, query: str) -> None:
    async with a_job(World()) as (_, session, _, stream), session.get(f"{stream.replace('/stream', f'/{way}')}?{query}") as response:
        said = await response.json()
    assert (response.status, said["details"]["field"]) == (400, query.partition("=")[0])


async def test_a_slow_demonstration_is_kept_alive() -> None:
    async with (
        served(World(), StreamLimits(heartbeat=0.05)) as gateway,
        ClientSession(gateway.url) as session,
        session.get(DEMONSTRATION, params={"speed": "0.1"}) as response,
    ):
        assert await response.content.readuntil(b"keep-alive\n\n")
