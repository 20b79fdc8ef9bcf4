"""Every stream can be told at its own pace, from any event, by every surface: nothing is missing and nothing comes twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import ClientSession, ClientTimeout

from tests.dialects.pr_agent import stories
from tests.dialects.world import World, served
from trunkline.auth.principal import ANONYMOUS, HOME, Principal, Role
from trunkline.contracts.run import Said
from trunkline_gateway.sse import StreamLimits

STREAMS = ("/api/pr-agent/{}/stream?speed=100", "/api/pr-agent/{}/replay?speed=100", "/tasks/task_{}/events?speed=100")
ADMIN = Principal(HOME, "ann", Role.ADMIN)
BAD = ["0", "-1", "nan", "inf", "1e9", "0.09", "100.1", "fast", "", "1,5", "0x1"]


@dataclass(frozen=True)
class Job:
    world: World
    session: ClientSession
    task: str

    async def play(self, decisions: list[tuple[Any, ...]]) -> None:
        for facts in decisions:
            await self.world.say(self.task, *facts)

    async def whole(self, path: str, last: str = "") -> list[tuple[str, dict[str, Any]]]:
        """Every event of a stream that ends, with its id."""
        self.world.principal = ADMIN if path.startswith("/tasks") else ANONYMOUS
        async with self.session.get(path.format(self.task), headers={"Last-Event-ID": last} if last else {}) as response:
            assert (response.status, response.content_type) == (200, "text/event-stream"), await response.text()
            return events(await response.text())


def events(text: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if "data" in fields:
            found.append((fields.get("id", ""), json.loads(fields["data"])))
    return found


@asynccontextmanager
async def a_job(limits: StreamLimits | None = None) -> AsyncIterator[Job]:
    """In a world where a second passes with every fact."""
    world = World()
    async with served(world, limits) as gateway, ClientSession(gateway.url, timeout=ClientTimeout(30)) as session:
        async with session.post("/api/pr-agent/execute", json={"repo": "o/n", "task": "t"}) as answer:
            assert answer.status == 200
        yield Job(world, session, world.events[-1].task)


@pytest.mark.parametrize("path", STREAMS)
async def test_a_replay_tells_what_the_stream_tells_and_ends_with_it(path: str) -> None:
    async with a_job() as job:
        await job.play(stories.WHOLE)
        began = asyncio.get_running_loop().time()
        told = await job.whole(path)
        took = asyncio.get_running_loop().time() - began
        assert told == await job.whole(path.partition("?")[0].replace("replay", "stream"))
        assert took > 0.9 * len(stories.WHOLE) / 100, "a second passed with every fact"


@pytest.mark.parametrize("path", STREAMS)
async def test_a_replay_begins_with_the_event_that_is_named_and_resumes_behind_the_last_that_was_seen(path: str) -> None:
    async with a_job() as job:
        await job.play(stories.WHOLE)
        whole = await job.whole(path)
        for number, (id, _) in enumerate(whole):
            assert await job.whole(f"{path}&from={id}") == whole[number:]
        assert await job.whole(f"{path}&from={whole[4][0]}", last=whole[7][0]) == whole[8:]
        assert await job.whole(f"{path}&from={whole[4][0]}&lastEventId={whole[7][0]}") == whole[8:]


@pytest.mark.parametrize("path", STREAMS)
async def test_what_happens_after_history_comes_as_it_happens(path: str) -> None:
    async with a_job() as job:
        await job.play(stories.STARTED)
        job.world.principal = ADMIN if path.startswith("/tasks") else ANONYMOUS
        async with job.session.get(path.format(job.task)) as response:
            seen = await response.content.readuntil(b"isolat" if path.startswith("/tasks") else b"Sandbox ready")
            for line in range(20):
                await job.world.say(job.task, stories.said(line + 1, Said.MESSAGE, display="x", text="x" * line * 1000))
                await asyncio.sleep(0.001 * (line % 3))
            await job.play(stories.FAILED)
            text = (seen + await response.content.read()).decode()
        assert events(text) == await job.whole(path.partition("?")[0].replace("replay", "stream"))


async def test_a_replay_at_its_slowest_lives_while_it_waits() -> None:
    async with a_job(StreamLimits(heartbeat=0.05)) as job:
        await job.play(stories.WHOLE)
        async with job.session.get(f"/api/pr-agent/{job.task}/replay?speed=0.1") as response:
            assert b'"Queued"' in await response.content.readuntil(b'Queued"}\n\n')
            for _ in range(3):
                assert await response.content.readuntil(b"\n\n") == b": keep-alive\n\n"


async def test_a_stop_ends_a_replay_that_waits() -> None:
    world = World()
    async with served(world) as gateway, ClientSession(gateway.url, timeout=ClientTimeout(30)) as session:
        async with session.post("/api/pr-agent/execute", json={"repo": "o/n", "task": "t"}):
            task = world.events[-1].task
        for facts in stories.WHOLE:
            await world.say(task, *facts)
        async with session.get(f"/api/pr-agent/{task}/replay?speed=0.1") as response:
            await response.content.readuntil(b'Queued"}\n\n')
            gateway.streams.end()
            assert events((await response.content.read()).decode()) == []


@pytest.mark.parametrize("speed", BAD)
async def test_a_speed_that_is_none_is_refused_in_the_words_of_each_surface(speed: str) -> None:
    async with a_job() as job:
        for path in ("stream", "replay"):
            async with job.session.get(f"/api/pr-agent/{job.task}/{path}", params={"speed": speed}) as refused:
                said = await refused.json()
                assert (refused.status, said["code"]) == (400, "INVALID_SPEED")
                assert said["error"] == said["message"]
                assert said["message"] == "speed: must be a number from 0.1 to 100, such as 0.5 or 10"
        job.world.principal = ADMIN
        async with job.session.get(f"/tasks/task_{job.task}/events", params={"speed": speed}) as refused:
            assert refused.status == 400
            assert "speed" in (await refused.json())["detail"]


@pytest.mark.parametrize("id", ["nonsense", "k3v9--1", "k3v9-1.99999", "x" * 2000])
async def test_an_event_that_is_none_is_refused(id: str) -> None:
    async with a_job() as job:
        async with job.session.get(f"/api/pr-agent/{job.task}/replay", params={"from": id}) as refused:
            assert (refused.status, (await refused.json())["code"]) == (400, "BAD_EVENT_ID")
        job.world.principal = ADMIN
        async with job.session.get(f"/tasks/task_{job.task}/events", params={"from": id}) as refused:
            assert refused.status == 400


async def test_an_event_of_another_life_of_the_log_is_said_aloud() -> None:
    async with a_job() as job:
        await job.play(stories.WHOLE)
        gap, *rest = await job.whole("/api/pr-agent/{}/replay?speed=100&from=zzzz-5")
        assert gap[1]["phase"] == "gap"
        assert rest == await job.whole("/api/pr-agent/{}/stream")


async def test_nobody_replays_a_job_that_is_not_there() -> None:
    async with a_job() as job, job.session.get(f"/api/pr-agent/{'0' * 32}/replay") as missing:
        assert (missing.status, (await missing.json())["code"]) == (404, "NOT_FOUND")


async def test_a_finished_task_of_the_orchestrator_replays_at_speed_on_both_surfaces_to_whom_it_may_be_shown() -> None:
    world = World(principal=ADMIN)
    async with served(world) as gateway, ClientSession(gateway.url, timeout=ClientTimeout(30)) as session:
        async with session.post("/tasks", json={"type": "bugfix", "payload": {"n": 1}, "priority": "P2"}) as answer:
            made = (await answer.json())["task_id"]
        for status in ("in_progress", "completed"):
            async with session.patch(f"/tasks/{made}/status", json={"status": status}) as answer:
                assert answer.status == 200, await answer.text()
        job = Job(world, session, str(made).removeprefix("task_"))
        told = await job.whole("/tasks/task_{}/events?speed=100")
        assert told == await job.whole("/tasks/task_{}/events")
        assert [data["event_type"] for _, data in told][:: len(told) - 1] == ["task.created", "task.completed"]
        for way in ("replay?speed=100", "stream?speed=100", "stream"):
            async with session.get(f"/api/pr-agent/{job.task}/{way}") as answer:
                assert (answer.status, events(await answer.text())[-1][0]) == (200, told[-1][0])
        world.principal = ANONYMOUS
        async with session.get(f"/api/pr-agent/{job.task}/replay?speed=100") as answer:
            assert answer.status == 404
