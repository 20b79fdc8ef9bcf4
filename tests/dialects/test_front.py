"""The front door: readiness, the welcome, the pages, and what every answer carries."""

from __future__ import annotations

import pytest

from tests.dialects.world import SERVICES, World, talking
from trunkline.contracts.errors import Unavailable
from trunkline.contracts.forge import PullRequestView

DIFF = """diff --git a/src/app.py b/src/app.py
index 1..2 100644
--- a/src/app.py
+++ b/src/app.py
@@ -1,3 +1,4 @@ def main():
 same
-removed <b>bold</b>
+added &amp; \u202eturned
+more
 same
diff --git a/pic.png b/pic.png
new file mode 100644
Binary files /dev/null and b/pic.png differ
"""
VIEW = PullRequestView(
    number=7, repo="o/n", base="main", head="trunkline/abc", title="<script>alert(1)</script>", body="It's <i>done</i>", diff=DIFF,
    cut=True,
    created_at="2025-01-12T10:00:00Z",
)  # fmt: skip


async def test_health_is_200_only_when_every_service_and_the_bus_are_there() -> None:
    world = World(down={"router", "relay"})
    async with talking(world) as session:

        async def health() -> tuple[int, str, str, dict[str, str]]:
            async with session.get("/health") as response:
                said = await response.json()
                assert (said["version"], said["redis"]) == ("1.2.3", said["nats"])
                assert (said["queue_stats"] is None) is (said["nats"] != "connected" or said["services"]["relay"] != "ready")
                return response.status, said["status"], said["nats"], said["services"]

        assert (await health())[:3] == (503, "starting", "connected")
        world.down.clear()
        assert await health() == (200, "healthy", "connected", dict.fromkeys(SERVICES, "ready"))
        world.connected = False
        assert (await health())[:3] == (503, "degraded", "disconnected")
        world.connected = True
        world.down.add("sandbox")
        status, word, _, services = await health()
        assert (status, word, services["sandbox"], services["router"]) == (503, "degraded", "down", "ready")


async def test_the_root_names_the_service_and_its_version() -> None:
    async with talking(World()) as session, session.get("/") as response:
        said = await response.json()
        assert (response.status, said["service"], said["version"]) == (200, "trunkline", "1.2.3")


@pytest.mark.parametrize("path", ["/", "/health", "/nowhere", "/api/pr-agent/x", "/forge/local/o/n/pulls/1"])
async def test_every_answer_carries_the_headers_that_keep_browsers_safe(path: str) -> None:
    async with talking(World()) as session, session.get(path, headers={"X-Request-Id": "abc-1"}) as response:
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        assert response.headers["Server"] == "trunkline"
        assert response.headers["X-Request-Id"] == "abc-1"


async def test_a_request_id_that_could_do_harm_is_replaced() -> None:
    async with talking(World()) as session, session.get("/", headers={"X-Request-Id": "a b" * 100}) as response:
        assert len(response.headers["X-Request-Id"]) == 32


async def test_a_head_request_gets_the_headers_alone() -> None:
    async with talking(World()) as session, session.head("/health") as response:
        assert (response.status, await response.read()) == (200, b"")


async def test_the_page_of_a_pull_request_shows_it_and_runs_nothing_of_it() -> None:
    world = World(pull_requests={("o/n", 7): VIEW})
    async with talking(world) as session, session.get("/forge/local/o/n/pulls/7") as response:
        page = await response.text()
        policy = response.headers["Content-Security-Policy"]
        assert (response.status, response.content_type) == (200, "text/html")
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "It's &lt;i&gt;done&lt;/i&gt;" in page
    assert "removed &lt;b&gt;bold&lt;/b&gt;" in page
    assert "added &amp;amp; \\u202eturned" in page
    assert "src/app.py" in page
    assert "pic.png" in page
    assert "trunkline/abc" in page
    assert "http://" not in page
    assert "https://" not in page
    assert "script-src" not in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", ["o/n/pulls/8", "o/n/pulls/0", "o/n/pulls/x", "o/n/pulls/99999999999", "o/n"])
async def test_a_page_that_is_not_there_says_so_as_a_page(path: str) -> None:
    world = World(pull_requests={("o/n", 7): VIEW})
    async with talking(world) as session, session.get(f"/forge/local/{path}") as response:
        assert (response.status, response.content_type) == (404, "text/html")
        assert "<h1>Not here</h1>" in await response.text()


async def test_a_page_that_cannot_be_had_now_says_so_as_a_page() -> None:
    world = World(refusal=Unavailable("the sandbox service does not answer"))
    async with talking(world) as session, session.get("/forge/local/o/n/pulls/7") as response:
        assert (response.status, response.headers["Retry-After"], response.content_type) == (503, "2", "text/html")
