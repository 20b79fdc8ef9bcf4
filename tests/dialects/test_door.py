"""No web page gets in: neither by a name of its own that leads to loopback, nor by sending somebody's browser."""

from __future__ import annotations

import aiohttp
import pytest

from tests.dialects.world import World, served, talking

EXECUTE = "/api/pr-agent/execute"
GOOD = {"repo": "myorg/myrepo", "task": "add tests"}


@pytest.mark.parametrize("path", ["/", "/health", "/nowhere", "/api/pr-agent/550e8400-e29b-41d4-a716-446655440000/stream"])
async def test_a_foreign_name_reads_nothing(path: str) -> None:
    async with talking(World()) as session, session.get(path, headers={"Host": "evil.example:8787"}) as response:
        said = await response.json()
        assert response.status == 403
        assert said.get("code", "HOST_NOT_ALLOWED") == "HOST_NOT_ALLOWED"
        assert "allowed_hosts" in (said.get("error") or said["detail"])
        assert "evil" not in await response.text()


async def test_a_foreign_name_gets_no_page_either() -> None:
    async with talking(World()) as session, session.get("/forge/local/o/n/pulls/1", headers={"Host": "evil.example"}) as response:
        assert (response.status, response.content_type) == (403, "text/html")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Host": "evil.example"}, "HOST_NOT_ALLOWED"),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, "HOST_NOT_ALLOWED"),
        ({"Origin": "http://evil.example"}, "ORIGIN_NOT_ALLOWED"),
        ({"Origin": "null"}, "ORIGIN_NOT_ALLOWED"),
        ({"Origin": "http://localhost:3000"}, "ORIGIN_NOT_ALLOWED"),
    ],
    ids=str,
)
async def test_a_page_of_somebody_else_submits_nothing(headers: dict[str, str], code: str) -> None:
    world = World()
    async with talking(world) as session, session.post(EXECUTE, json=GOOD, headers=headers) as response:
        said = await response.json()
        assert (response.status, said["code"], said["details"]) == (403, code, {"setting": "allowed_hosts"})
        assert set(said) == {"error", "message", "code", "details"}
        assert [name for name in response.headers if name.lower().startswith("access-control")] == []
    assert world.sent == []


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.9.9.9:80", "[::1]:8787"])
async def test_loopback_is_known_by_all_of_its_names(name: str) -> None:
    async with talking(World()) as session, session.post(EXECUTE, json=GOOD, headers={"Host": name}) as response:
        assert response.status == 200


async def test_a_page_of_ours_may_submit() -> None:
    async with served(World()) as gateway, aiohttp.ClientSession(gateway.url) as session:
        for origin in (gateway.url, "http://127.0.0.1:8787"):
            async with session.post(EXECUTE, json=GOOD, headers={"Origin": origin}) as response:
                assert response.status == 200


async def test_an_answer_to_another_origin_lets_no_page_read_it() -> None:
    async with talking(World()) as session, session.get("/health", headers={"Origin": "http://evil.example"}) as response:
        assert response.status == 200
        assert aiohttp.hdrs.ACCESS_CONTROL_ALLOW_ORIGIN not in response.headers
