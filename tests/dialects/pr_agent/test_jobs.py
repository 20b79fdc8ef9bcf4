"""Lists of jobs: a caller finds its own, page by page, and never anybody else's."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import ClientSession

from tests.dialects.pr_agent import stories
from tests.dialects.world import World, talking
from trunkline.auth.principal import ANONYMOUS, HOME, Principal, Role, Tier
from trunkline.contracts.ids import TenantId
from trunkline_gateway.dialects.pr_agent.schemas_jobs import JobPage

JOBS = "/api/pr-agent/jobs"
MINE, OTHERS = "browser-of-mine", "browser-of-others"
ANN = Principal(HOME, "github:7", Role.GUEST, Tier.AUTHENTICATED, "Ann-Hub")
BOB = Principal(HOME, "github:8", Role.GUEST, Tier.AUTHENTICATED, "bob")


async def execute(world: World, who: Principal, task: str, **fields: object) -> str:
    """The id of the new job."""
    world.principal = who
    async with talking(world) as session, session.post("/api/pr-agent/execute", json={"repo": "o/n", "task": task, **fields}) as response:
        assert response.status == 200, await response.text()
        return str((await response.json())["jobId"])


async def listed(world: World, who: Principal, expect: int = 200, /, **query: str | int) -> dict[str, Any]:
    world.principal = who
    async with talking(world) as session, session.get(JOBS, params=query) as response:
        assert response.status == expect, await response.text()
        said: dict[str, Any] = await response.json()
        if expect == 200:
            JobPage.model_validate(said)
            assert said["count"] == len(said["jobs"])
        return said


def tasks(page: dict[str, Any]) -> list[str]:
    return [job["task"] for job in page["jobs"]]


@pytest.fixture
async def world() -> World:
    """Jobs of everybody: those of others are called canaries."""
    world = World()
    await execute(world, ANONYMOUS, "canary of a stranger", clientFingerprint=OTHERS)
    await execute(world, ANONYMOUS, "canary without a fingerprint")
    await execute(world, BOB, "canary of a guest", clientFingerprint=MINE)
    await execute(world, Principal(TenantId("acme"), "github:7", Role.USER), "canary of another tenant", clientFingerprint=MINE)
    await execute(world, Principal(HOME, "ann", Role.AGENT), "canary of a key", clientFingerprint=MINE)
    for number in range(3):
        await execute(world, ANN, f"a guest's {number}")
    for number in range(2):
        await execute(world, ANONYMOUS, f"a stranger's {number}", clientFingerprint=MINE)
    return world


async def test_a_guest_lists_its_own_newest_first_and_page_by_page(world: World) -> None:
    page = await listed(world, ANN)
    assert (tasks(page), page["total"], page["limit"], page["offset"]) == (["a guest's 2", "a guest's 1", "a guest's 0"], 3, 10, 0)
    page = await listed(world, ANN, limit=1, offset=1)
    assert (tasks(page), page["total"], page["limit"], page["offset"], page["count"]) == (["a guest's 1"], 3, 1, 1, 1)
    assert tasks(await listed(world, ANN, offset=10_000)) == []


async def test_a_stranger_lists_what_was_sent_with_the_fingerprint_that_it_names(world: World) -> None:
    assert tasks(await listed(world, ANONYMOUS, fingerprint=MINE)) == ["a stranger's 1", "a stranger's 0"]


@pytest.mark.parametrize("query", [{}, {"github_username": "ann-hub"}, {"github_username": "bob", "limit": "100"}])
async def test_a_stranger_without_a_fingerprint_is_told_to_say_who_it_is(world: World, query: dict[str, str]) -> None:
    assert (await listed(world, ANONYMOUS, 401, **query))["code"] == "AUTH_REQUIRED"


@pytest.mark.parametrize("who", [ANN, BOB, ANONYMOUS, Principal(HOME, "ann", Role.AGENT), Principal(HOME, "root", Role.ADMIN)])
@pytest.mark.parametrize("name", ["ann-hub", "bob", "anonymous", "%", "' OR 1=1 --"])
async def test_no_filter_shows_a_job_of_another(world: World, who: Principal, name: str) -> None:
    for query in ({"github_username": name}, {"github_username": name, "fingerprint": MINE}, {"fingerprint": MINE}):
        if who is ANONYMOUS and "fingerprint" not in query:
            continue
        own = {"github:7": "a guest's", "github:8": "canary of a guest", "ann": "canary of a key", "anonymous": "a stranger's"}
        assert all(task.startswith(own[who.subject]) for task in tasks(await listed(world, who, limit=100, **query)))


async def test_a_guest_is_found_by_its_login_in_any_case_and_by_no_other(world: World) -> None:
    assert len(tasks(await listed(world, ANN, github_username="ANN-HUB"))) == 3
    assert tasks(await listed(world, ANN, github_username="bob")) == []


@pytest.mark.parametrize(
    ("story", "status"), [((), "pending"), (stories.STARTED, "running"), (stories.WHOLE, "success"), (stories.FAILED, "failed")]
)
async def test_a_status_finds_what_has_it(story: list[tuple[Any, ...]], status: str) -> None:
    world = World()
    await execute(world, ANN, "it")
    job = world.events[-1].task
    for facts in story:
        await world.say(job, *facts)
    for word in ("pending", "running", "success", "failed", "all"):
        assert tasks(await listed(world, ANN, status=word)) == (["it"] if word in (status, "all") else [])


@pytest.mark.parametrize(
    "query",
    [{"limit": "0"}, {"limit": "101"}, {"limit": "ten"}, {"limit": ""}, {"limit": "1_0"}, {"limit": "5.0"},
     {"offset": "+5"}, {"offset": " 5"}, {"offset": "-1"}, {"offset": "10001"}, {"status": "done"},
     {"fingerprint": ""}, {"fingerprint": "x" * 201}, {"github_username": ""}],
)  # fmt: skip
async def test_a_page_that_cannot_be_is_refused(world: World, query: dict[str, str]) -> None:
    said = await listed(world, ANN, 400, **query)
    assert (said["code"], said["details"]) == ("INVALID_REQUEST", {"field": next(iter(query))})


async def test_a_fingerprint_that_is_soon_guessed_makes_nobody_known(world: World) -> None:
    assert "8 characters" in (await listed(world, ANONYMOUS, 400, fingerprint="short"))["message"]
    assert tasks(await listed(world, ANN, fingerprint="short")) == []


async def test_a_filter_said_twice_is_refused(world: World) -> None:
    world.principal = ANN
    async with talking(world) as session, session.get(f"{JOBS}?limit=1&limit=2") as response:
        assert response.status == 400


async def test_a_fingerprint_that_holds_a_secret_is_not_kept_and_finds_nothing() -> None:
    """What is left of two different ones would be the same."""
    world, secret = World(), f"ghp_{'a' * 36}"
    await execute(world, ANONYMOUS, "canary", clientFingerprint=secret)
    await execute(world, ANONYMOUS, "canary", clientFingerprint="[redacted:github-token]")
    for fingerprint in (secret, "[redacted:github-token]"):
        assert tasks(await listed(world, ANONYMOUS, fingerprint=fingerprint)) == []


async def test_a_job_stands_in_a_list_as_it_stands_alone(world: World) -> None:
    (job,) = (await listed(world, ANN, limit=1))["jobs"]
    async with talking(world) as session, session.get(f"/api/pr-agent/{job['id']}") as response:
        assert (await response.json())["job"] == job


async def read(session: ClientSession, world: World) -> dict[str, Any]:
    async with session.get(f"/api/pr-agent/{world.events[0].task}") as response:
        said: dict[str, Any] = await response.json()
        return said


async def test_what_an_agent_says_of_its_own_cost_is_shown_nowhere() -> None:
    world = World()
    await execute(world, ANONYMOUS, "it")
    unasked = [facts for facts in stories.WHOLE if facts != (stories.ANSWERED,)]
    async with talking(world) as session:
        for facts in unasked:
            await world.say(world.events[0].task, *facts)
        said = await read(session, world)
    assert stories.result().usage.cost_usd, "the agent claims a cost"
    assert [said[name] for name in ("llmModel", "llmInputTokens", "llmOutputTokens", "estimatedCostUsd")] == [None] * 4


async def test_the_model_is_the_last_that_answered() -> None:
    world = World()
    await execute(world, ANONYMOUS, "it")
    async with talking(world) as session:
        for model, status in (("first", 200), ("second", 200), ("refusing", 529), ("", 200)):
            await world.say(world.events[0].task, stories.ANSWERED.model_copy(update={"model": model, "status": status}))
        said = await read(session, world)
    assert (said["llmModel"], said["llmInputTokens"], said["estimatedCostUsd"]) == ("second", 4800, 0.96)
