"""What a pr_agent stream promises: first byte at once, no gap and no repeat, life signs, a clean end."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, ClientTimeout

from tests.dialects.pr_agent import stories
from tests.dialects.world import EPOCH, Served, World, served
from trunkline.contracts.run import Said, SandboxReady
from trunkline.contracts.task import TaskRetryScheduled
from trunkline_gateway.sse import StreamLimits

SOON = 20.0


@asynccontextmanager
async def a_job(world: World, limits: StreamLimits | None = None) -> AsyncIterator[tuple[Served, ClientSession, str, str]]:
    """A served world with one job: the server, a session, the task id and the stream's path."""
    async with served(world, limits) as gateway, ClientSession(gateway.url, timeout=ClientTimeout(10)) as session:
        async with session.post("/api/pr-agent/execute", json={"repo": "o/n", "task": "t"}) as response:
            stream = (await response.json())["streamUrl"]
        yield gateway, session, world.events[-1].task, stream


async def play(world: World, task: str, decisions: list[tuple[Any, ...]]) -> None:
    for facts in decisions:
        await world.say(task, *facts)


async def told(session: ClientSession, stream: str, **headers: str) -> list[tuple[str | None, dict[str, Any]]]:
    """Every event of a stream that ends, with its id."""
    async with session.get(stream, headers=headers) as response:
        assert response.status == 200
        return parsed(await response.text())


def parsed(text: str) -> list[tuple[str | None, dict[str, Any]]]:
    events = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if "data" in fields:
            events.append((fields.get("id"), json.loads(fields["data"])))
    return events


async def until(check: Any) -> None:
    async with asyncio.timeout(SOON):
        while not check():  # noqa: ASYNC110 (looked at from outside)
            await asyncio.sleep(0.01)


async def test_the_first_byte_comes_before_the_first_event_with_the_right_headers() -> None:
    world = World()
    async with a_job(world) as (_, session, _, stream), session.get(stream) as response:
        assert await response.content.readuntil(b"\n\n") == b": open\n\n"
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-cache"
        assert response.headers["X-Accel-Buffering"] == "no"
        assert b'"Queued"' in await response.content.readuntil(b"\n\n")


async def test_an_event_reaches_an_open_stream_while_it_happens() -> None:
    world = World()
    async with a_job(world) as (_, session, task, stream), session.get(stream) as response:
        await response.content.readuntil(b'Queued"}\n\n')
        await world.say(task, stories.said(1, Said.MESSAGE, display="hello", text="hello"))
        assert b'"hello"' in await response.content.readuntil(b'hello"}\n\n')


async def test_resuming_anywhere_gives_exactly_the_rest() -> None:
    world = World()
    async with a_job(world) as (_, session, task, stream):
        await play(world, task, stories.WHOLE)
        whole = await told(session, stream)
        assert len({id for id, _ in whole}) == len(whole) == 12
        for place, (id, _) in enumerate(whole):
            assert await told(session, stream, **{"Last-Event-ID": str(id)}) == whole[place + 1 :]
            assert await told(session, f"{stream}?lastEventId={id}") == whole[place + 1 :]


async def test_resuming_at_a_fact_that_was_never_shown_gives_exactly_the_rest() -> None:
    world = World()
    async with a_job(world) as (_, session, task, stream):
        await play(world, task, stories.WHOLE)
        whole = await told(session, stream)
        assert await told(session, stream, **{"Last-Event-ID": f"{EPOCH}-2"}) == whole[1:]


async def test_a_place_beyond_the_end_of_the_job_ends_at_once() -> None:
    world = World()
    async with a_job(world) as (_, session, task, stream):
        await play(world, task, stories.WHOLE)
        end = world.events[-1].cursor.seq
        await play(world, "another", stories.WHOLE)
        assert await told(session, stream, **{"Last-Event-ID": f"{EPOCH}-{end + 1}"}) == []


async def test_a_place_beyond_the_end_of_the_log_is_said_aloud_and_everything_follows() -> None:
    world = World()
    async with a_job(world) as (_, session, task, stream):
        await play(world, task, stories.WHOLE)
        whole = await told(session, stream)
        for beyond in (world.events[-1].cursor.seq + 1, 10**18):
            gap, *rest = await told(session, stream, **{"Last-Event-ID": f"{EPOCH}-{beyond}"})
            assert (gap[1]["phase"], rest) == ("gap", whole)


async def test_a_place_in_another_life_of_the_log_is_said_aloud_and_everything_follows() -> None:
    world = World()
    async with a_job(world) as (_, session, task, stream):
        await play(world, task, stories.WHOLE)
        whole = await told(session, stream)
        first, *rest = await told(session, stream, **{"Last-Event-ID": "zzzz-5"})
        assert first[0] is None
        assert (first[1]["type"], first[1]["phase"]) == ("status", "gap")
        assert rest == whole


async def test_what_is_no_longer_kept_is_said_aloud() -> None:
    world = World()
    async with a_job(world) as (_, session, task, stream):
        await play(world, task, stories.WHOLE)
        whole = await told(session, stream)
        world.first_kept = 8
        first, *rest = await told(session, stream, **{"Last-Event-ID": f"{EPOCH}-3"})
        assert first[1]["phase"] == "gap"
        assert rest == [(id, event) for id, event in whole if int(str(id).split("-")[1].split(".")[0]) >= 8]


@pytest.mark.parametrize("id", ["nonsense", "k3v9", "k3v9--1", "k3v9-1.99999", "K3V9-1", "é-1"])
async def test_an_id_that_is_none_is_refused(id: str) -> None:
    world = World()
    async with a_job(world) as (_, session, _, stream), session.get(stream, params={"lastEventId": id}) as response:
        assert response.status == 400
        assert (await response.json())["code"] == "BAD_EVENT_ID"


async def test_an_idle_stream_shows_that_it_lives() -> None:
    world = World()
    async with a_job(world, StreamLimits(heartbeat=0.05)) as (_, session, task, stream), session.get(stream) as response:
        await response.content.readuntil(b'Queued"}\n\n')
        for _ in range(3):
            await response.content.readuntil(b": keep-alive\n\n")
        await play(world, task, stories.FAILED)
        assert [event["type"] for _, event in parsed((await response.content.read()).decode())] == ["error"]


async def test_a_client_of_http_1_0_can_read_a_stream() -> None:
    world = World()
    async with a_job(world, StreamLimits(heartbeat=0.05)) as (gateway, _, task, stream):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rpartition(":")[2]))
        writer.write(f"GET {stream} HTTP/1.0\r\n\r\n".encode())
        await reader.readuntil(b": keep-alive\n\n")
        await play(world, task, stories.FAILED)
        async with asyncio.timeout(SOON):
            rest = (await reader.read()).decode()
        writer.close()
        assert parsed(rest)[-1][1]["type"] == "error"


async def test_a_reader_that_leaves_is_forgotten_at_once() -> None:
    world = World()
    async with a_job(world) as (gateway, session, _, stream):
        async with session.get(stream) as response:
            await response.content.readuntil(b'Queued"}\n\n')
            assert (world.readers, len(gateway.streams)) == (1, 1)
            response.close()
        await until(lambda: (world.readers, len(gateway.streams)) == (0, 0))


async def test_a_reader_that_takes_nothing_is_cut_and_harms_nobody() -> None:
    world = World()
    limits = StreamLimits(heartbeat=0.2, stall=0.3, buffer=16 << 10)
    async with a_job(world, limits) as (gateway, session, task, stream):
        stuck = socket.socket()
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", int(gateway.url.rpartition(":")[2])))
        stuck.sendall(f"GET {stream} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        await until(lambda: world.readers == 1)
        for line in range(200):
            await world.say(task, stories.said(line + 1, Said.MESSAGE, display="x", text="x" * 65_536))
        await until(lambda: world.readers == 0)
        stuck.close()
        await play(world, task, stories.FAILED)
        assert len(await told(session, stream)) == 202


async def test_a_reader_that_lags_gets_everything_in_order() -> None:
    world = World()
    async with a_job(world, StreamLimits(heartbeat=0.01, stall=5, buffer=16 << 10)) as (gateway, _, task, stream):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rpartition(":")[2]), limit=4096)
        writer.write(f"GET {stream} HTTP/1.0\r\n\r\n".encode())
        for line in range(300):
            await world.say(task, stories.said(line + 1, Said.MESSAGE, display=str(line), text="x" * (line * 97 % 30_000)))
        await play(world, task, stories.FAILED)
        heard = b""
        async with asyncio.timeout(10):
            while piece := await reader.read(40_000):
                heard += piece
                await asyncio.sleep(0.001)
        writer.close()
        events = parsed(heard.partition(b"\r\n\r\n")[2].decode())
        assert [event.get("display") for _, event in events[1:-1]] == [str(line) for line in range(300)]
        assert events[-1][1]["type"] == "error"


async def test_a_stop_closes_open_streams_cleanly() -> None:
    world = World()
    async with a_job(world) as (gateway, session, _, stream), session.get(stream) as response:
        await response.content.readuntil(b'Queued"}\n\n')
        gateway.streams.end()
        async with asyncio.timeout(20):  # unless they are closed they never end
            rest = await response.content.read()  # raises when the end is not clean
        assert parsed(rest.decode()) == []
        assert world.readers == 0
        async with session.get(stream) as refused:
            assert (refused.status, refused.headers["Retry-After"]) == (503, "2")


async def test_leaving_the_service_does_not_wait_for_open_streams() -> None:
    world = World()
    async with ClientSession() as session, asyncio.timeout(None) as leaving:
        async with served(world) as gateway:
            async with session.post(f"{gateway.url}/api/pr-agent/execute", json={"repo": "o/n", "task": "t"}) as made:
                stream = (await made.json())["streamUrl"]
            response = await session.get(gateway.url + stream)
            await response.content.readuntil(b'Queued"}\n\n')
            leaving.reschedule(asyncio.get_running_loop().time() + 20)
        await response.content.read()


async def test_too_many_readers_are_refused_with_a_time_to_come_back() -> None:
    world = World()
    async with a_job(world, StreamLimits(readers=1)) as (_, session, _, stream), session.get(stream), session.get(stream) as second:
        assert (second.status, (await second.json())["code"]) == (503, "UNAVAILABLE")
        assert "Retry-After" in second.headers


async def test_missing_isolation_is_said_in_the_stream() -> None:
    world = World()
    async with a_job(world) as (_, session, task, stream):
        await world.say(task, SandboxReady(sandbox_id="s", provider="local", isolation="none (--unsafe-local)"))
        await play(world, task, stories.FAILED)
        (_, spoken) = (await told(session, stream))[1]
        assert spoken["phase"] == "sandbox"
        assert "WITHOUT ISOLATION" in spoken["message"]


async def test_a_retry_is_said_in_the_stream() -> None:
    world = World()
    async with a_job(world) as (_, session, task, stream):
        await world.say(task, TaskRetryScheduled(attempt=2, due_at=world.now(), code="X", reason="the model was away"))
        await play(world, task, stories.FAILED)
        (_, spoken) = (await told(session, stream))[1]
        assert "the model was away" in spoken["message"]


async def test_many_readers_see_the_same_events() -> None:
    world = World()
    async with a_job(world) as (gateway, session, task, stream):
        async with asyncio.TaskGroup() as group:
            readers = [group.create_task(told(session, stream)) for _ in range(90)]
            await until(lambda: len(gateway.streams) == 90)
            assert world.readers == 1  # followed once, for all of them
            await play(world, task, stories.WHOLE)
        whole = await told(session, stream)
        assert all(reader.result() == whole for reader in readers)
