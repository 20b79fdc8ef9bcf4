"""The stream of an instance: what is said, how it stands, signs of life; resumed exactly, and ended with its task."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NamedTuple

from aiohttp import ClientResponse, ClientSession

from tests.dialects.homes import ANN, Home
from tests.dialects.omnara.stories import INSTANCE, TASK
from tests.dialects.omnara.test_messages import HEARTBEAT, say, tell
from tests.dialects.world import BEGAN, World, talking
from trunkline.contracts.ids import TaskId
from trunkline.contracts.task import TaskCancelled, TaskSucceeded

STREAM = f"/api/v1/agent-instances/{INSTANCE}/messages/stream"


class Told(NamedTuple):
    event: str
    data: dict[str, Any]
    id: str


@asynccontextmanager
async def reading(session: ClientSession, query: str = "", after: str = "") -> AsyncIterator[ClientResponse]:
    headers = {"Last-Event-ID": after} if after else {}
    async with session.get(STREAM + query, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        yield answer


async def read(answer: ClientResponse, count: int = 1000) -> list[Told]:
    """So many events, or all until it ends."""
    told: list[Told] = []
    async with asyncio.timeout(20):
        while len(told) < count and (block := await until_blank(answer)):
            said = dict(line.split(": ", 1) for line in block if not line.startswith(":"))
            if said:
                told.append(Told(said["event"], json.loads(said["data"]), said.get("id", "")))
    return told


async def until_blank(answer: ClientResponse) -> list[str]:
    lines: list[str] = []
    while line := (await answer.content.readline()).decode():
        if line == "\n":
            return lines
        lines.append(line.rstrip("\n"))
    return lines


async def conversation(session: ClientSession) -> None:
    """A question with a diff, its answer, and one more question on what was said before; then the end."""
    await say(session, "What now?", requires_user_input=True, git_diff="diff --git a b\n")
    await tell(session, "Go on")
    said = await say(session, "Done")
    async with session.patch(f"/api/v1/messages/{said['message_id']}/request-input") as answer:
        assert answer.status == 200
    async with session.post("/api/v1/sessions/end", json={"agent_instance_id": INSTANCE}) as answer:
        assert answer.status == 200


STORY = [
    "connected", "message", "git_diff_update", "status_update", "message", "status_update", "message", "message_update", "status_update",
    "status_update",
]  # fmt: skip


async def test_what_happens_is_told_in_the_documented_events() -> None:
    world = World(principal=ANN)
    async with talking(world) as session:
        await say(session, "Begun")
        async with reading(session) as answer:
            assert await read(answer, 1) == [Told("connected", {"instance_id": INSTANCE}, "k3v9-2.9999")]
            await conversation(session)
            await world.say(TASK, TaskSucceeded(result=None))
            told = [each for each in await read(answer) if each.event != "agent_heartbeat"]
    assert ["connected", *(each.event for each in told)] == STORY
    first, diff, moved, answered = told[0].data, told[1].data, told[2].data, told[3].data
    assert list(first) == [
        "id", "content", "sender_type", "created_at", "requires_user_input", "message_metadata", "instance_id",
    ]  # fmt: skip
    assert (first["content"], first["sender_type"], first["requires_user_input"]) == ("What now?", "AGENT", True)
    assert diff == {"instance_id": INSTANCE, "git_diff": "diff --git a b\n"}
    assert (moved["event_type"], moved["instance_id"], moved["status"]) == ("status_update", INSTANCE, "AWAITING_INPUT")
    assert (answered["content"], answered["sender_type"]) == ("Go on", "USER")
    assert told[6].data["old_requires_user_input"] is False and told[6].data["requires_user_input"] is True
    assert told[-1].data["status"] == "COMPLETED"


async def test_from_every_event_a_reader_goes_on_exactly() -> None:
    world = World(principal=ANN)
    async with talking(world) as session:
        await conversation_with_end(world, session)
        async with reading(session, "?history=true") as answer:
            whole = await read(answer)
        assert [each.event for each in whole] == STORY
        for place, last in enumerate(whole[1:], 1):
            async with reading(session, after=last.id) as answer:
                assert (await read(answer))[1:] == whole[place + 1 :]
        async with reading(session) as answer:
            assert [each.event for each in await read(answer)] == ["connected"], "it is over, and nothing comes"


async def conversation_with_end(world: World, session: ClientSession) -> None:
    await conversation(session)
    await world.say(TASK, TaskSucceeded(result=None))


async def test_whoever_is_cut_before_the_first_event_loses_nothing() -> None:
    world = World(principal=ANN)
    async with talking(world) as session:
        await say(session, "Begun")
        async with reading(session) as answer:
            [connected] = await read(answer, 1)
        await tell(session, "While you were away")
        async with reading(session, after=connected.id) as answer:
            told = await read(answer, 2)
    assert told[1].data["content"] == "While you were away"


async def test_the_end_of_its_task_is_the_end_of_the_instance() -> None:
    world = World(principal=ANN)
    async with talking(world) as session:
        await say(session, "Begun")
        async with reading(session) as answer:
            await read(answer, 1)
            await world.say(TASK, TaskCancelled(by="ann", reason="enough"))
            told = await read(answer)
    assert [(each.event, each.data.get("status")) for each in told] == [("status_update", "KILLED")]


async def test_signs_of_life_and_of_the_stream_come_without_a_place() -> None:
    world = World(principal=ANN, home=Home(heartbeat_s=0.05))
    async with talking(world) as session:
        await say(session, "Begun")
        async with reading(session) as answer:
            await read(answer, 1)
            await world.home.beats.put(ANN.tenant, TaskId(TASK), BEGAN + timedelta(seconds=30))
            told: list[Told] = []
            async with asyncio.timeout(20):
                while not {"heartbeat", "agent_heartbeat"} <= {each.event for each in told}:
                    told += await read(answer, 1)
        async with session.post(HEARTBEAT) as beat:
            assert beat.status == 200
    assert Told("agent_heartbeat", {"instance_id": INSTANCE, "last_heartbeat_at": "2025-01-12T10:00:30Z"}, "") in told
    ticks = [each for each in told if each.event == "heartbeat"]
    assert ticks and all(list(each.data) == ["timestamp"] and not each.id for each in ticks)
    assert world.home.beats.ears == [], "nobody listens any more"
    assert world.readers == 0


async def test_a_place_that_is_not_kept_is_said_aloud() -> None:
    world = World(principal=ANN)
    async with talking(world) as session:
        await conversation_with_end(world, session)
        async with reading(session, after="zzzz-3") as answer:
            told = await read(answer)
        assert [each.event for each in told[:3]] == ["connected", "error", "message"]
        async with session.get(STREAM, headers={"Last-Event-ID": "yesterday"}) as refused:
            assert refused.status == 400


async def test_a_task_without_an_instance_has_no_such_stream() -> None:
    world = World(principal=ANN)
    async with talking(world) as session:
        async with session.post("/tasks", json={"type": "bugfix", "payload": {}}) as made:
            name = (await made.json())["task"]["task_id"].removeprefix("task_")
        async with session.get(f"/api/v1/agent-instances/{name}/messages/stream") as answer:
            assert answer.status == 404
