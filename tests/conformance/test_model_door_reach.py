"""The model door is no way out: what the provider would reach for the agent is refused in the shape of its API, however it is written."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from aiohttp import web

from tests.conformance.claude_here import CLAUDE, NOT_TESTED
from tests.conformance.door_bench import ASK, KEY, behind_a_door, scripted, upstream_that
from tests.conformance.running import Place, running
from trunkline.testing.scripted_model import Asked, Text, ToolUse, scripted_model
from trunkline.testing.till import OpenTill
from trunkline_sandbox.adapters.agents.claude import ClaudeAgent, ClaudeOptions
from trunkline_sandbox.adapters.model.door import model_door, model_session
from trunkline_sandbox.adapters.model.keys import DoorKeys
from trunkline_sandbox.adapters.model.shapes import Shape, Upstream, Upstreams, offered

SEARCH = {**ASK, "tools": [{"type": "web_search_20250305", "name": "web_search"}]}
MCP = {"model": "m", "input": "go", "tools": [{"type": "mcp", "server_label": "x", "server_url": "https://elsewhere.example"}]}


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A short one: the path of a socket has 107 bytes."""
    with TemporaryDirectory(prefix="door-") as folder:
        yield Path(folder)


async def test_a_tool_of_the_provider_is_refused_as_anthropic_refuses(tmp_path: Path) -> None:
    async with scripted(tmp_path, Text("x")) as (agent, model):
        status, text = await agent.post(json=SEARCH)
        counted, _ = await agent.post("/v1/messages/count_tokens", json=SEARCH)

    error = json.loads(text)
    assert (status, counted, error["type"], error["error"]["type"]) == (400, 400, "error", "invalid_request_error")
    assert "web_search_20250305" in error["error"]["message"]
    assert "TRUNKLINE_MODEL_TOOLS_ALLOWED" in error["error"]["message"]
    assert model.asked == []
    assert agent.till.booked == []


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
async def test_a_tool_of_the_provider_is_refused_as_openai_refuses(tmp_path: Path, path: str) -> None:
    async def never(request: web.Request) -> web.Response:
        raise AssertionError(request.path)

    async with upstream_that(never) as url, behind_a_door(tmp_path, Upstreams(openai=Upstream(KEY, url))) as agent:
        status, text = await agent.post(path, json=MCP)

    error = json.loads(text)["error"]
    assert (status, error["type"], error["code"]) == (400, "invalid_request_error", "invalid_request_error")
    assert "`mcp`" in error["message"]
    assert "TRUNKLINE_MODEL_TOOLS_ALLOWED" in error["message"]
    assert agent.till.booked == []


async def test_what_the_settings_allow_passes_and_nothing_else(tmp_path: Path) -> None:
    async with scripted_model([(Text("x"),)], key=KEY) as model:
        upstreams = Upstreams(Upstream(KEY, model.url), tools=("web_search*",))
        async with behind_a_door(tmp_path, upstreams) as agent:
            allowed, _ = await agent.post(json=SEARCH)
            refused, _ = await agent.post(json={**SEARCH, "mcp_servers": [{"type": "url", "url": "https://elsewhere.example"}]})

    assert (allowed, refused) == (200, 400)
    assert [asked.body for asked in model.asked] == [SEARCH]


TWICE = b'{"tools": [], "tools": [{"type": "web_search_20250305"}]}'
WRITTEN: list[tuple[dict[str, str], bytes]] = [
    ({}, TWICE),
    ({"content-type": "application/json; charset=utf-16"}, json.dumps(SEARCH).encode("utf-16")),
    ({"content-encoding": "gzip"}, gzip.compress(json.dumps(SEARCH).encode())),
    ({"content-encoding": "identity, gzip"}, gzip.compress(json.dumps(SEARCH).encode())),
    ({"content-encoding": "zstd"}, b"\x28\xb5\x2f\xfd"),
    ({}, gzip.compress(json.dumps(SEARCH).encode())),
]


@pytest.mark.parametrize(("headers", "body"), WRITTEN, ids=range(len(WRITTEN)))
async def test_no_way_of_writing_it_slips_past(tmp_path: Path, headers: dict[str, str], body: bytes) -> None:
    async with scripted(tmp_path, Text("x")) as (agent, model):
        status, text = await agent.post(json=None, data=body, headers={**agent.headers(), **headers})

    assert status in (400, 415)
    assert json.loads(text)["error"]["type"] == "invalid_request_error"
    assert model.asked == []


async def test_what_goes_on_is_what_was_judged(tmp_path: Path) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for byte in body:
            yield bytes([byte])

    body = b'{ "model":"m",\n "messages": [], "x": "\\ud800 \xc3\xbc" }'
    seen: list[tuple[bytes, str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((await request.read(), request.headers["content-type"], request.headers["content-length"]))
        return web.Response()

    async with upstream_that(answer) as url, behind_a_door(tmp_path, Upstream(KEY, url)) as agent:
        headers = {**agent.headers(), "content-type": "application/json; charset=utf-7"}
        status, _ = await agent.post(json=None, data=pieces(), headers=headers)

    assert (status, seen) == (200, [(body, "application/json", str(len(body)))])


async def test_a_request_of_several_megabytes_arrives_whole(tmp_path: Path) -> None:
    async with scripted(tmp_path, Text("x")) as (agent, model):
        status, _ = await agent.post(json={**ASK, "system": "x" * (5 << 20)})

    assert status == 200
    assert len(model.asked[0].body["system"]) == 5 << 20


async def test_a_job_cannot_fill_the_memory_with_requests_that_wait(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def wait(request: web.Request) -> web.Response:
        await request.read()
        await release.wait()
        return web.Response()

    large = {**ASK, "system": "x" * 600_000}
    async with (
        upstream_that(wait) as url,
        behind_a_door(tmp_path, Upstream(KEY, url, held_bytes=1 << 20)) as agent,
        asyncio.TaskGroup() as group,
    ):
        waiting = [group.create_task(agent.post(json=large)) for _ in range(2)]
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=20)
        release.set()
        refused = [task.result()[0] for task in done]

    assert refused == [429]
    assert sorted(task.result()[0] for task in waiting) == [200, 429]


@pytest.mark.slow
@pytest.mark.skipif(CLAUDE is None, reason=NOT_TESTED)
@pytest.mark.parametrize("allowed", [(), ("web_search*",)])
async def test_the_real_claude_code_goes_on_when_its_search_is_refused(tmp_path: Path, allowed: tuple[str, ...]) -> None:
    asked = await searched(tmp_path, allowed, ClaudeOptions(CLAUDE, max_retries=1, web_search=True))

    assert any(kinds(one) == ["web_search_20250305"] for one in asked) == bool(allowed)
    results = json.dumps(asked[-1].body["messages"])
    assert ("TRUNKLINE_MODEL_TOOLS_ALLOWED" in results) == (not allowed)


@pytest.mark.slow
@pytest.mark.skipif(CLAUDE is None, reason=NOT_TESTED)
async def test_the_real_claude_code_is_started_without_its_search(tmp_path: Path) -> None:
    asked = await searched(tmp_path, (), ClaudeOptions(CLAUDE, max_retries=1))

    assert not any(kinds(one) for one in asked)
    assert "No such tool available: WebSearch" in json.dumps(asked[-1].body["messages"])


async def searched(folder: Path, allowed: tuple[str, ...], options: ClaudeOptions) -> list[Asked]:
    """What the model was asked through the door while Claude Code was made to search; it came to its end in good order."""
    place = Place(folder / "workspace", folder / "home")
    place.workspace.mkdir()
    place.home.mkdir()
    keys = DoorKeys(folder / "doors", b"secret")
    agent = ClaudeAgent(keys, options)
    find = ToolUse("ToolSearch", {"query": "select:WebSearch", "max_results": 1})
    search = ToolUse("WebSearch", {"query": "what is new"})
    async with (
        scripted_model([(find,), (search,), (Text("Done."),)], key=KEY) as model,
        model_session() as session,
        model_door(keys("run-1"), Upstreams(Upstream(KEY, model.url), tools=allowed), session, OpenTill()),
        running(agent, place.task("Search."), place) as program,
    ):
        await program.at_rest(1)
        ending = await program.leave()
    assert (ending.ok, ending.summary) == (True, "Done.")
    return model.asked


def kinds(asked: Asked) -> list[Any]:
    return [tool["type"] for tool in asked.body.get("tools", []) if tool.get("type")]


def test_nothing_but_this_is_offered() -> None:
    """A path that is added here needs a judgement of its own."""
    paths = ["/v1/messages", "/v1/messages/count_tokens", "/v1/responses", "/v1/chat/completions"]
    others = ["/v1/messages/batches", "/v1/files", "/v1/responses/input_tokens", "/v1/responses/compact", "/v1/conversations", "/mcp"]
    assert all(offered("POST", path, Shape.OPENAI) for path in paths)
    assert not any(offered(method, path, Shape.OPENAI) for path in others for method in ("POST", "GET", "PUT", "DELETE"))
    assert not any(offered(method, path, Shape.OPENAI) for path in paths for method in ("GET", "PUT", "PATCH", "DELETE"))
