"""What monitors read: readiness under the names they know, the counts of the queue, and refusals that say nothing of the inside."""

from __future__ import annotations

import pytest

from tests.dialects.orchestrator.asking import calling, working
from tests.dialects.world import World
from trunkline.auth.principal import ANONYMOUS
from trunkline.contracts.errors import Broken, Conflict, Exhausted, Unavailable


async def test_health_keeps_the_names_that_monitors_read() -> None:
    world = World(principal=ANONYMOUS)
    async with calling(world) as caller:
        up = await caller.ask("GET /health")
        world.connected = False
        down = await caller.ask("GET /health")
        world.connected = True
        world.down.add("relay")
        half = await caller.ask("GET /health")
    assert (up.status, up.body["status"], up.body["redis"]) == (200, "healthy", "connected")
    assert up.body["queue_stats"] == {"pending_tasks": 0, "processing_tasks": 0, "total_tasks": 0}
    assert (down.status, down.body["status"], down.body["redis"], down.body["queue_stats"]) == (503, "degraded", "disconnected", None)
    assert (half.status, half.body["redis"], half.body["queue_stats"], half.body["services"]["relay"]) == (503, "connected", None, "down")


async def test_counts_are_open_to_everybody() -> None:
    world = working()
    async with calling(world) as caller:
        ids = [(await caller.task())["task_id"] for _ in range(3)]
        await caller.ask(f"PATCH /tasks/{ids[0]}/status?status=in_progress")
        world.principal = ANONYMOUS
        said = (await caller.ask("GET /stats")).body
        world.down.add("relay")
        assert (await caller.ask("GET /stats")).status == 503
    assert said["queue"] == {"pending_tasks": 2, "processing_tasks": 1, "total_tasks": 3}


async def test_whoever_shows_nothing_is_told_how_to() -> None:
    async with calling(World(principal=ANONYMOUS)) as caller, caller.session.get("/tasks") as response:
        assert (response.status, response.headers["WWW-Authenticate"].split()[0]) == (401, "Bearer")
        assert list(await response.json()) == ["detail"]


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (Unavailable("the router does not answer"), 503),
        (Exhausted("Rate limit exceeded. Try again in 45 seconds.", retry_after=45), 429),
        (Broken("the table of secrets is gone"), 500),
        (ValueError("/etc/secret"), 500),
        (Conflict("the parent has 1000 parts already"), 409),
    ],
)
async def test_every_refusal_is_a_detail(refusal: Exception, status: int) -> None:
    async with calling(World(principal=working().principal, refusal=refusal)) as caller:
        answer = await caller.ask("POST /tasks", {"type": "bugfix", "payload": {}})
    assert answer.status == status
    assert "/etc" not in answer.detail


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS"])
async def test_a_method_that_is_not_taken_says_which_are(method: str) -> None:
    async with calling(working()) as caller, caller.session.request(method, "/tasks") as response:
        assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD, POST")
        assert "POST" in (await response.json())["detail"]


async def test_the_same_key_makes_one_task() -> None:
    world = working()
    async with calling(world) as caller:
        body, headers = {"type": "bugfix", "payload": {}}, {"Idempotency-Key": "k-1"}
        first, again = [await caller.ask("POST /tasks", body, headers) for _ in range(2)]
        other = await caller.ask("POST /tasks", {"type": "feature", "payload": {}}, headers)
    assert (first, other.status) == (again, 422)
    assert len({event.task for event in world.events}) == 1
