"""What happens to a task, as a stream and page by page; and what people publish."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest
from aiohttp import ClientPayloadError

from tests.dialects.orchestrator.asking import AGENT, APPROVER, USER, Caller, calling, working
from tests.dialects.pr_agent import stories
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.task import EventPublished
from trunkline_gateway.dialects.orchestrator.answers_events import Happened

STREAM = {"Accept": "text/event-stream"}


async def whole(caller: Caller, path: str, headers: dict[str, str] | None = None) -> list[tuple[str, str, dict[str, Any]]]:
    """Name, id and data of every event until the stream ends."""
    async with caller.session.get(path, headers=headers or STREAM) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream"), await response.text()
        return events(await response.text())


def events(text: str) -> list[tuple[str, str, dict[str, Any]]]:
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if lines:
            Happened.model_validate_json(lines["data"])
            found.append((lines["event"], lines.get("id", ""), json.loads(lines["data"])))
    return found


async def test_the_stream_tells_all_of_it_and_ends_with_the_task() -> None:
    world = working()
    async with calling(world) as caller:
        made = await caller.task(priority="P1", trace_id="t-1")
        id = made["task_id"]
        async with asyncio.TaskGroup() as group:
            following = group.create_task(whole(caller, f"/tasks/{id}/events"))
            await asyncio.sleep(0.05)
            world.principal = APPROVER
            await caller.ask(f"POST /approvals/{made['approval_id']}/approve")
            world.principal = AGENT
            for status in ("in_progress", "completed"):
                await caller.ask(f"PATCH /tasks/{id}/status?status={status}")
        seen = following.result()
        assert seen == await whole(caller, f"/tasks/{id}/events")
    assert [name for name, _, _ in seen] == [
        "task.created", "task.assigned", "task.approval_required", "approval.requested", "approval.decided", "task.released",
        "task.in_progress", "task.completed",
    ]  # fmt: skip
    assert all(data["event_type"] == name and data["id"] == cursor and data["task_id"] == id for name, cursor, data in seen)
    assert seen[0][2]["trace_id"] == "t-1"
    assert seen[3][2]["payload"]["approval_id"] == made["approval_id"]
    assert seen[4][2]["payload"]["verdict"] == "approved"


@pytest.mark.parametrize("how", ["header", "query", "after"])
async def test_a_reader_that_comes_back_gets_exactly_the_rest(how: str) -> None:
    world = working()
    async with calling(world) as caller:
        id = (await caller.task())["task_id"]
        await caller.ask(f"PATCH /tasks/{id}/status?status=completed")
        path = f"/tasks/{id}/events"
        seen = await whole(caller, path)
        for number, (_, cursor, _) in enumerate(seen):
            headers = STREAM | ({"Last-Event-ID": cursor} if how == "header" else {})
            query = {"header": "", "query": f"?lastEventId={cursor}", "after": f"?after={cursor}"}[how]
            assert await whole(caller, path + query, headers) == seen[number + 1 :]


async def test_what_is_lost_is_said() -> None:
    world = working()
    async with calling(world) as caller:
        id = (await caller.task())["task_id"]
        await caller.ask(f"PATCH /tasks/{id}/status?status=completed")
        seen = await whole(caller, f"/tasks/{id}/events?after=other-5")
        page = (await caller.ask(f"GET /tasks/{id}/events?after=other-5")).body
    assert (seen[0][0], seen[0][1], seen[0][2]["payload"]["asked"]) == ("gap", "", "other-5")
    assert [one["event_type"] for one in page["events"]] == [name for name, _, _ in seen]


async def test_pages_give_what_the_stream_gives_and_where_to_go_on() -> None:
    world = working()
    async with calling(world) as caller:
        id = (await caller.task(priority="P0"))["task_id"]
        page = (await caller.ask(f"GET /tasks/{id}/events?after=&limit=2")).body
        assert (page["count"], page["has_more"], page["next"]) == (2, True, page["events"][-1]["id"])
        rest = (await caller.ask(f"GET /tasks/{id}/events?after={page['next']}")).body
        assert (rest["has_more"], [one["event_type"] for one in rest["events"]]) == (
            False,
            ["task.approval_required", "approval.requested"],
        )
        nothing = (await caller.ask(f"GET /tasks/{id}/events?after={rest['next']}")).body
        assert (nothing["count"], nothing["has_more"], nothing["next"]) == (0, False, rest["next"])
        await caller.ask(f"POST /tasks/{id}/cancel")
        more = (await caller.ask(f"GET /tasks/{id}/events?after={rest['next']}")).body
    assert [one["event_type"] for one in more["events"]] == ["task.cancelled"]


@pytest.mark.parametrize(
    ("query", "accept", "kind"),
    [
        ("", "*/*", "text/event-stream"),
        ("", "text/event-stream", "text/event-stream"),
        ("?after=", "text/event-stream", "text/event-stream"),
        ("?after=", "*/*", "application/json"),
        ("?limit=5", "*/*", "application/json"),
        ("", "application/json", "application/json"),
    ],
)
async def test_the_client_says_whether_it_follows_or_reads(query: str, accept: str, kind: str) -> None:
    async with calling(working()) as caller:
        id = (await caller.task())["task_id"]
        await caller.ask(f"POST /tasks/{id}/cancel")
        async with caller.session.get(f"/tasks/{id}/events{query}", headers={"Accept": accept}) as response:
            assert (response.status, response.content_type) == (200, kind)


@pytest.mark.parametrize(
    ("query", "status"), [("after=x", 400), ("limit=0", 400), ("limit=1001", 400), ("limit=-1", 400), ("limit=x", 422), ("limit=1.0", 422)]
)
async def test_a_page_that_makes_no_sense_is_refused(query: str, status: int) -> None:
    async with calling(working()) as caller:
        id = (await caller.task())["task_id"]
        assert (await caller.ask(f"GET /tasks/{id}/events?{query}")).status == status


async def test_the_run_of_an_agent_of_ours_is_told_too() -> None:
    world = working()
    task = "0194589f6d0070008000000000000001"
    async with calling(world) as caller:
        id = (await caller.task())["task_id"]
        for facts in stories.WHOLE:
            await world.say(id.removeprefix("task_"), *facts)
        seen = await whole(caller, f"/tasks/{id}/events")
        read = (await caller.ask(f"GET /tasks/{id}")).body["task"]
    names = [name for name, _, _ in seen]
    assert {"run.phase", "run.sandbox_ready", "agent.output", "run.pull_request_opened"} <= set(names)
    assert names[-1] == "task.completed"
    assert seen[-1][2]["payload"]["result"] == read["result"]
    assert read["result"]["pull_request_url"] == stories.PAGE
    assert task not in str(seen)


async def test_a_published_event_reaches_the_readers_of_its_task() -> None:
    world = working()
    async with calling(world) as caller:
        id = (await caller.task())["task_id"]
        body = {
            "event_type": "deployment.completed", "source_agent": "ops_agent", "payload": {"service": "api-backend"}, "task_id": id,
            "trace_id": "trace_xyz789", "priority": "P2",
        }  # fmt: skip
        said = (await caller.ask("POST /events/publish", body)).body
        assert (said["event_type"], said["message"]) == ("deployment.completed", "Event published successfully")
        await caller.ask(f"PATCH /tasks/{id}/status?status=completed")
        seen = await whole(caller, f"/tasks/{id}/events")
        trace = (await caller.ask("GET /traces/trace_xyz789")).body
    (told,) = [data for name, _, data in seen if name == "deployment.completed"]
    assert (told["payload"], told["source_agent"], told["published_by"]) == ({"service": "api-backend"}, "ops_agent", "dev-agent-1")
    assert (trace["event_count"], trace["events"][0]["published_by"], trace["events"][0]["task_id"]) == (1, "dev-agent-1", id)


async def test_what_somebody_publishes_as_the_end_of_a_task_ends_nothing() -> None:
    world = working()
    async with calling(world) as caller:
        id = (await caller.task())["task_id"]
        await caller.ask("POST /events/publish", {"event_type": "task.completed", "source_agent": "x", "task_id": id})
        assert (await caller.ask(f"GET /tasks/{id}")).body["task"]["status"] == "assigned"
        await caller.ask(f"PATCH /tasks/{id}/status?status=completed")
        seen = await whole(caller, f"/tasks/{id}/events")
    assert [(name, "published_by" in data) for name, _, data in seen][-3:] == [
        ("task.completed", True), ("task.in_progress", False), ("task.completed", False),
    ]  # fmt: skip


async def test_a_name_that_would_break_the_stream_does_not_reach_it() -> None:
    world = working()
    async with calling(world) as caller:
        id = (await caller.task())["task_id"]
        await world.say(id.removeprefix("task_"), EventPublished(event_type="a\ndata: {}\n\nevent: b", by="x"), part="message")
        await caller.ask(f"POST /tasks/{id}/cancel")
        seen = await whole(caller, f"/tasks/{id}/events")
    assert [name for name, _, _ in seen] == ["task.created", "task.assigned", "message", "task.cancelled"]


async def test_an_event_about_no_task_is_found_by_its_trace() -> None:
    async with calling(working()) as caller:
        made = await caller.task(metadata={"trace_id": "3f0e"})
        await caller.ask("POST /events/publish", {"event_type": "task.started", "source_agent": "dev_agent", "trace_id": "3f0e"})
        trace = (await caller.ask("GET /traces/3f0e")).body
        assert (await caller.ask("GET /traces/none")).status == 404
        assert (await caller.ask("GET /traces/3f0e?limit=0")).status == 400
    assert [task["task_id"] for task in trace["tasks"]] == [made["task_id"]]
    assert [(event["event_type"], event["task_id"], event["payload"]) for event in trace["events"]] == [("task.started", None, {})]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"event_type": "Deployment.completed"}, 400),
        ({"event_type": "a..b"}, 400),
        ({"event_type": ".a"}, 400),
        ({"event_type": "a.b\n"}, 400),
        ({"event_type": "a" * 129}, 400),
        ({"event_type": ""}, 400),
        ({"event_type": 5}, 422),
        ({"source_agent": None}, 422),
        ({"source_agent": ""}, 400),
        ({"source_agent": "x" * 129}, 400),
        ({"payload": []}, 422),
        ({"priority": "urgent"}, 400),
        ({"priority": 1}, 422),
        ({"trace_id": "a b"}, 400),
        ({"task_id": "task_x"}, 404),
        ({"task_id": f"task_{'0' * 32}"}, 404),
        ({"task_id": 5}, 422),
        ({"priority": "critical", "payload": None, "task_id": None, "trace_id": None}, 200),
    ],
)
async def test_what_may_be_published(fields: dict[str, object], status: int) -> None:
    world = working()
    async with calling(world) as caller:
        answer = await caller.ask("POST /events/publish", {"event_type": "a.b", "source_agent": "x", **fields})
    assert answer.status == status, answer
    assert len(world.events) == (status == 200)


async def test_a_place_that_is_none_is_refused() -> None:
    async with calling(working()) as caller:
        id = (await caller.task())["task_id"]
        assert (await caller.ask(f"GET /tasks/{id}/events", headers={"Last-Event-ID": "x"})).status == 400
        assert (await caller.ask(f"GET /tasks/{id}/events", headers={"Last-Event-ID": str(Cursor("k3v9", 1))})).status == 200


async def test_a_stream_does_not_outlive_the_credential_that_opened_it() -> None:
    world = working()
    async with calling(world) as caller:
        task = (await caller.task())["task_id"]
        async with caller.session.get(f"/tasks/{task}/events", headers=STREAM) as response:
            await response.content.readuntil(b"task.assigned")
            world.principal = USER  # as when that of the agent was revoked, or has expired
            await asyncio.sleep(1.1)
            await caller.session.get("/health")
            await world.say(task.removeprefix("task_"), EventPublished(event_type="secret.news", by="ann"), part="message")
            rest = b""
            with contextlib.suppress(ClientPayloadError):
                async with asyncio.timeout(5):
                    rest = await response.content.read()
    assert b"secret.news" not in rest
