"""Who may start how many jobs, what is said of it, and that neither a new fingerprint nor a forged header makes somebody new."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession

from tests.dialects.counting import Counting
from tests.dialects.pr_agent.guests import place
from tests.dialects.world import UPGRADE, World, talking
from trunkline.auth.principal import ANONYMOUS, HOME, Principal, Role, Tier
from trunkline.contracts.task import TaskSubmitted
from trunkline_gateway.dialects.pr_agent.schemas_jobs import RateLimits

EXECUTE, STATUS = "/api/pr-agent/execute", "/api/pr-agent/rate-limit-status"
BODY = {"repo": "acme/shop", "task": "Fix the login bug"}
HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
GUEST = Principal(HOME, "github:7", Role.GUEST, Tier.AUTHENTICATED, "ann-hub")


def world(principal: Principal = ANONYMOUS) -> World:
    return World(limiter=Counting(), principal=principal)


async def post(session: ClientSession, headers: dict[str, str] | None = None, **fields: str) -> tuple[ClientResponse, dict[str, Any]]:
    async with session.post(EXECUTE, json={**BODY, **fields}, headers=headers) as response:
        return response, await response.json()


async def status(session: ClientSession, **query: str) -> dict[str, Any]:
    async with session.get(STATUS, params=query) as response:
        assert response.status == 200, await response.text()
        said: dict[str, Any] = await response.json()
        RateLimits.model_validate(said)
        for name, field in zip(HEADERS, ("limit", "remaining", "reset"), strict=True):
            assert response.headers.get(name) == (None if said[field] is None else str(said[field]))
        return said


def submitted(told: World) -> int:
    return sum(isinstance(event.fact, TaskSubmitted) for event in told.events)


async def test_a_stranger_starts_one_job_a_minute_and_is_told_how_to_get_more() -> None:
    async with talking(told := world()) as session:
        first, _ = await post(session)
        assert (first.status, first.headers["X-RateLimit-Limit"], first.headers["X-RateLimit-Remaining"]) == (200, "1", "0")
        second, said = await post(session)
    assert second.status == 429
    assert said.keys() == {"error", "message", "code", "retryAfter", "upgradeUrl", "details"}
    assert said["error"] == said["message"]
    assert said["message"].startswith("Rate limit exceeded. Try again in ")
    assert "token of GitHub's" in said["message"]
    assert (said["code"], said["upgradeUrl"], said["details"]["tier"]) == ("RATE_LIMITED", UPGRADE, "anonymous")
    assert 0 < said["retryAfter"] <= 61
    assert second.headers["Retry-After"] == str(said["retryAfter"])
    assert all(name in second.headers for name in HEADERS)
    assert submitted(told) == 1


async def test_a_new_fingerprint_and_a_forged_address_dodge_nothing() -> None:
    async with talking(told := world()) as session:
        answers = [(await post(session, {"X-Forwarded-For": f"203.0.113.{n}"}, clientFingerprint=f"browser-{n}"))[0] for n in range(5)]
    assert [answer.status for answer in answers] == [200, 429, 429, 429, 429]
    assert submitted(told) == 1


async def test_a_fingerprint_that_is_used_up_costs_another_address_nothing() -> None:
    told = world()
    assert isinstance(told.limiter, Counting)
    await told.limiter.admit("execute.anonymous", ("@203.0.113.1", "#browser-1"))
    async with talking(told) as session:
        refused, _ = await post(session, clientFingerprint="browser-1")
        taken, _ = await post(session, clientFingerprint="browser-2")
    assert (refused.status, taken.status) == (429, 200)


@pytest.mark.parametrize(
    ("principal", "name", "callers"),
    [
        (GUEST, "execute.authenticated", ("public/github:7",)),
        (Principal(HOME, "github:7", Role.GUEST, Tier.PRO), "execute.pro", ("public/github:7",)),
        (Principal(HOME, "ann", Role.USER), "execute.pro", ("public/ann",)),
        (Principal(HOME, "ann", Role.AGENT), "execute.pro", ("public/ann",)),
        (ANONYMOUS, "execute.anonymous", ("@127.0.0.1", "#browser-1")),
    ],
)
async def test_each_tier_counts_its_own_callers_by_what_they_are_known_by(
    principal: Principal, name: str, callers: tuple[str, ...]
) -> None:
    told = world(principal)
    async with talking(told) as session:
        await post(session, clientFingerprint="browser-1")
    assert isinstance(told.limiter, Counting)
    assert told.limiter.asked == [(name, callers)]


async def test_whoever_runs_the_installation_is_never_counted() -> None:
    async with talking(told := world(Principal(HOME, "operator", Role.ADMIN, Tier.OPERATOR))) as session:
        answers = [(await post(session))[0] for _ in range(12)]
        said = await status(session)
    assert {answer.status for answer in answers} == {200}
    assert not any(name in answer.headers for answer in answers for name in HEADERS)
    assert isinstance(told.limiter, Counting)
    assert told.limiter.asked == []
    assert (said["tier"], said["limits"]["day"]) == ("operator", {"limit": None, "remaining": None, "reset": None})


async def test_what_is_refused_for_its_form_counts_for_nothing() -> None:
    async with talking(world()) as session:
        assert (await post(session, repo="no"))[0].status == 400
        assert (await post(session))[0].status == 200


async def test_a_repeat_of_the_same_request_counts_once() -> None:
    key = {"Idempotency-Key": "once"}
    async with talking(told := world()) as session:
        first, made = await post(session, key)
        again, same = await post(session, key)
    assert (first.status, again.status, same) == (200, 200, made)
    assert submitted(told) == 1


async def test_a_refused_request_may_be_sent_again_under_its_key() -> None:
    told, key = world(), {"Idempotency-Key": "later"}
    async with talking(told) as session:
        await post(session)
        assert (await post(session, key))[0].status == 429
        told.limiter = Counting()
    async with talking(told) as session:
        assert (await post(session, key))[0].status == 200


async def test_asking_what_is_left_counts_for_nothing() -> None:
    async with talking(told := world()) as session:
        for _ in range(3):
            said = await status(session, fingerprint="browser-1")
        assert said["tier"] == "anonymous"
        assert {word: window["remaining"] for word, window in said["limits"].items()} == {"minute": 1, "hour": 2, "day": 3}
        assert (said["retryAfter"], said["upgradeUrl"]) == (None, UPGRADE)
        await post(session, clientFingerprint="browser-1")
        said = await status(session)
    assert {word: window["remaining"] for word, window in said["limits"].items()} == {"minute": 0, "hour": 1, "day": 2}
    assert (said["limit"], said["remaining"]) == (1, 0)
    assert 0 < said["retryAfter"] <= 61
    assert submitted(told) == 1


async def test_a_guest_sees_its_own_tier_whatever_its_address_did() -> None:
    told = world()
    async with talking(told) as session:
        await post(session)
    told.principal = GUEST
    async with talking(told) as session:
        said = await status(session)
    assert (said["tier"], said["limits"]["minute"]["remaining"]) == ("authenticated", 2)


async def test_a_pro_has_no_window_of_a_day() -> None:
    async with talking(world(Principal(HOME, "github:7", Role.GUEST, Tier.PRO))) as session:
        said = await status(session)
    assert (said["limits"]["minute"]["limit"], said["limits"]["day"]["limit"]) == (10, None)


async def test_where_nobody_is_limited_the_status_says_so() -> None:
    async with talking(World()) as session:
        said = await status(session)
        assert {window["limit"] for window in said["limits"].values()} == {None}
        assert [(await post(session))[0].status for _ in range(5)] == [200] * 5


@pytest.mark.parametrize("who", ["", "ann"])
@pytest.mark.parametrize("kind", ["500", "reset", "429"])
async def test_while_nobody_can_look_at_the_repository_no_job_is_used_up(who: str, kind: str, tmp_path: Path) -> None:
    async with place(tmp_path, limiter=Counting()) as hub:
        hub.github.fail("repo", kind, times=9, retry_after="1")
        status, said, headers = await hub.asked("POST", "/execute", who, {**BODY, "clientFingerprint": "browser-1"})
        assert (status, said["code"], "X-RateLimit-Remaining" in headers) == (503, "UNAVAILABLE", False)
        left = (await hub.ask("GET", "/rate-limit-status?fingerprint=browser-1", who))[1]["limits"]
        assert [window["remaining"] for window in left.values()] == [window["limit"] for window in left.values()]
        hub.github.faults.clear()
        hub.clock.at += 60
        assert (await hub.execute(who, clientFingerprint="browser-1"))[0] == 200


async def test_a_repository_that_is_not_there_uses_up_a_job(tmp_path: Path) -> None:
    async with place(tmp_path, limiter=Counting()) as hub:
        assert [(await hub.execute("", "acme/none"))[0] for _ in range(2)] == [404, 429]
        assert hub.asked_for("repo") == 1


async def test_who_leaves_while_github_is_asked_has_used_up_nothing(tmp_path: Path) -> None:
    async with place(tmp_path, limiter=Counting()) as hub:
        hub.github.fail("repo", "silent", times=1)
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            asking = group.create_task(hub.execute())
            while not hub.asked_for("repo"):  # noqa: ASYNC110 (looked at from outside)
                await asyncio.sleep(0.02)
            assert (await hub.ask("GET", "/rate-limit-status"))[1]["remaining"] == 0
            asking.cancel()
            while (await hub.ask("GET", "/rate-limit-status"))[1]["remaining"] == 0:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
