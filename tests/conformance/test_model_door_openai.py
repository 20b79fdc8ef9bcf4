"""The model door for agents that speak to OpenAI's APIs: the same promises, and no way to spend unseen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from aiohttp import web

from tests.conformance.door_bench import KEY, Agent, behind_a_door, upstream_that
from trunkline.contracts.errors import Invalid
from trunkline.testing.scripted_model import Text, scripted_model
from trunkline_sandbox.adapters.model.shapes import Shape, Upstream, Upstreams

OTHER_KEY = "sk-openai-real-000222"
QUESTION = {"model": "gpt-5", "input": "go", "stream": True}
CHAT = {"model": "gpt-5", "messages": [{"role": "user", "content": "go"}]}
RESPONSES_USAGE = {"input_tokens": 900, "input_tokens_details": {"cached_tokens": 800}, "output_tokens": 41}
CHAT_USAGE = {"prompt_tokens": 20, "prompt_tokens_details": {"cached_tokens": 5}, "completion_tokens": 9}


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A short one: the path of a socket has 107 bytes."""
    with TemporaryDirectory(prefix="door-") as folder:
        yield Path(folder)


@dataclass
class OpenAi:
    """Enough of the API to be asked by the door."""

    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.asked.append((request.path_qs, {name.lower(): value for name, value in request.headers.items()}, body))
        if request.headers.get("authorization") != f"Bearer {OTHER_KEY}":
            return web.json_response({"error": {"message": f"bad key {request.headers.get('authorization')}"}}, status=401)
        said = json.loads(body or b"{}")
        if request.path.endswith("/models"):
            return web.json_response({"object": "list", "data": []})
        return await self._stream(request, said) if said.get("stream") else web.json_response(self._whole(request.path))

    def _whole(self, path: str) -> object:
        if path.endswith("/responses"):
            return {"model": "gpt-5-2025-08-07", "output": [], "usage": RESPONSES_USAGE}
        return {"model": "gpt-5-2025-08-07", "choices": [], "usage": CHAT_USAGE}

    async def _stream(self, request: web.Request, said: dict[str, object]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        if request.path.endswith("/responses"):
            events: list[object] = [{"type": "response.output_text.delta", "delta": "hi"}]
            events.append({"type": "response.completed", "response": {"model": "gpt-5", "usage": RESPONSES_USAGE}})
        else:
            events = [{"model": "gpt-5", "choices": [{"delta": {"content": "hi"}}]}]
            options = said.get("stream_options")
            events += [{"model": "gpt-5", "choices": [], "usage": CHAT_USAGE}] if options else []
        for event in events:
            await response.write(f"data: {json.dumps(event)}\n\n".encode())
        await response.write_eof()
        return response


@asynccontextmanager
async def openai(folder: Path, **more: object) -> AsyncIterator[tuple[Agent, OpenAi]]:
    api = OpenAi()
    async with upstream_that(api.answer) as url:
        upstream = Upstream(OTHER_KEY, url, **more)  # type: ignore[arg-type]
        async with behind_a_door(folder, Upstreams(openai=upstream)) as agent:
            yield agent, api


def bearer(agent: Agent) -> dict[str, str]:
    return {"authorization": f"Bearer {agent.door.token}"}


@pytest.mark.parametrize(("path", "body"), [("/v1/responses", QUESTION), ("/v1/chat/completions", CHAT)])
async def test_a_request_with_the_token_reaches_openai_with_the_key(tmp_path: Path, path: str, body: object) -> None:
    async with openai(tmp_path) as (agent, api):
        status, _ = await agent.post(path, json=body, headers={**bearer(agent), "openai-organization": "org-of-somebody"})

    ((asked, headers, sent),) = api.asked
    assert (status, asked, json.loads(sent)) == (200, path, body)
    assert headers["authorization"] == f"Bearer {OTHER_KEY}"
    assert not {"x-api-key", "openai-organization"} & set(headers)
    assert agent.door.token not in str(headers)


async def test_a_token_given_as_an_api_key_becomes_the_bearer_that_openai_wants(tmp_path: Path) -> None:
    async with openai(tmp_path) as (agent, api):
        status, _ = await agent.post("/v1/responses", json=QUESTION)

    assert status == 200
    assert "x-api-key" not in api.asked[0][1]


async def test_an_address_that_ends_with_v1_is_understood(tmp_path: Path) -> None:
    api = OpenAi()
    async with upstream_that(api.answer) as url, behind_a_door(tmp_path, Upstreams(openai=Upstream(OTHER_KEY, f"{url}/v1/"))) as agent:
        await agent.post("/v1/responses", json=QUESTION, headers=bearer(agent))

    assert api.asked[0][0] == "/v1/responses"


async def test_models_are_listed_by_the_api_that_is_asked(tmp_path: Path) -> None:
    async with openai(tmp_path) as (agent, api):
        async with agent.session.get("http://x/v1/models?client_version=1", headers=bearer(agent)) as got:
            assert got.status == 200
        assert agent.till.booked == []
    assert api.asked[0][0] == "/v1/models?client_version=1"


OTHERS = [
    "/v1/files",
    "/v1/batches",
    "/v1/responses/resp_1/cancel",
    "/v1/images/generations",
    "/v1/responses/../files",
    "/v1/conversations",
]


@pytest.mark.parametrize("path", OTHERS)
async def test_nothing_else_of_the_api_is_reached(tmp_path: Path, path: str) -> None:
    async with openai(tmp_path) as (agent, api):
        status, text = await agent.post(path, json={}, headers=bearer(agent))

    assert status == 404
    assert json.loads(text)["error"]["code"] == "not_found_error"
    assert api.asked == []


async def test_a_stranger_is_refused_in_the_shape_that_it_speaks(tmp_path: Path) -> None:
    async with openai(tmp_path) as (agent, api):
        status, text = await agent.post("/v1/responses", headers={"authorization": f"Bearer {OTHER_KEY}"})

    assert (status, json.loads(text)["error"]["code"]) == (401, "authentication_error")
    assert api.asked == []


async def test_a_refused_key_is_told_in_our_words_without_the_key(tmp_path: Path) -> None:
    api = OpenAi()
    async with upstream_that(api.answer) as url, behind_a_door(tmp_path, Upstreams(openai=Upstream("sk-wrong-0003", url))) as agent:
        got = await agent.session.post("http://x/v1/responses", json=QUESTION, headers=bearer(agent))
        text = await got.text()

    assert (got.status, got.headers["x-should-retry"]) == (401, "false")
    assert "sk-wrong" not in text
    assert "OPENAI_API_KEY" in text


async def test_an_api_without_a_key_is_refused_with_the_remedy(tmp_path: Path) -> None:
    async with openai(tmp_path) as (agent, api):
        status, text = await agent.post("/v1/messages")

    assert status == 403
    assert "ANTHROPIC_API_KEY" in text
    assert api.asked == []


async def test_a_door_may_lead_to_both_apis_or_be_for_one_only(tmp_path: Path) -> None:
    api = OpenAi()
    async with upstream_that(api.answer) as url, scripted_model([(Text("x"),)], key=KEY) as model:
        both = Upstreams(Upstream(KEY, model.url), Upstream(OTHER_KEY, url))
        async with behind_a_door(tmp_path / "both", both) as agent:
            assert (await agent.post())[0] == 200
            assert (await agent.post("/v1/responses", json=QUESTION))[0] == 200
        async with behind_a_door(tmp_path / "one", both.only(Shape.OPENAI)) as agent:
            assert (await agent.post())[0] == 403


async def test_a_door_for_openai_without_a_key_is_refused_with_the_remedy(tmp_path: Path) -> None:
    upstreams = Upstreams(Upstream(KEY), Upstream("")).only(Shape.OPENAI)
    with pytest.raises(Invalid, match="OPENAI_API_KEY"):
        async with behind_a_door(tmp_path, upstreams):
            pass


@pytest.mark.parametrize("options", [None, {"include_usage": False}, {"include_obfuscation": False}])
async def test_a_stream_of_chat_is_asked_to_tell_its_usage(tmp_path: Path, options: dict[str, bool] | None) -> None:
    body = {**CHAT, "stream": True, **({"stream_options": options} if options else {})}
    async with openai(tmp_path) as (agent, api):
        await agent.post("/v1/chat/completions", json=body, headers=bearer(agent))

    assert json.loads(api.asked[0][2]) == {**body, "stream_options": {**(options or {}), "include_usage": True}}
    assert [(each.output_tokens, each.estimated) for each in agent.till.booked] == [(9, False)]


async def test_a_body_that_needs_no_change_passes_byte_for_byte(tmp_path: Path) -> None:
    body = b'{ "model":"gpt-5",  "temperature": 1.0, "messages": [], "x": "\\ud800" }'
    async with openai(tmp_path) as (agent, api):
        for path in ("/v1/chat/completions", "/v1/responses"):
            await agent.post(path, json=None, data=body, headers=bearer(agent))

    assert [sent for _, _, sent in api.asked] == [body, body]


UNSEEN = [
    b'{"background": true}',
    b'{"background": true, "background": false}',
    b'{"b\\u0061ckground": 1}',
    '{"background": true}'.encode("utf-16"),
    b'["background"]',
    b'{"background": true, "x": ' + b"[" * 100_000,
]


@pytest.mark.parametrize("body", UNSEEN, ids=range(len(UNSEEN)))
async def test_what_could_be_spent_unseen_is_refused(tmp_path: Path, body: bytes) -> None:
    async with openai(tmp_path) as (agent, api):
        status, text = await agent.post("/v1/responses", json=None, data=body, headers=bearer(agent))

    assert (status, json.loads(text)["error"]["code"]) == (400, "invalid_request_error")
    assert api.asked == []


SEEN = [b'{"background": false}', b'{"input": "a \\"background\\": true, \\u0061"}', b'{"tools": [{"type": "custom", "background": true}]}']


@pytest.mark.parametrize("body", SEEN)
async def test_what_only_looks_like_it_passes(tmp_path: Path, body: bytes) -> None:
    async with openai(tmp_path) as (agent, api):
        status, _ = await agent.post("/v1/responses", json=None, data=body, headers=bearer(agent))

    assert status == 200
    assert [sent for _, _, sent in api.asked] == [body]


@pytest.mark.parametrize("body", [b"[]", b"no json", b"", b'\xff{"stream":1}'])
async def test_chat_that_cannot_be_read_is_refused(tmp_path: Path, body: bytes) -> None:
    async with openai(tmp_path) as (agent, api):
        status, _ = await agent.post("/v1/chat/completions", json=None, data=body, headers=bearer(agent))

    assert (status, api.asked) == (400, [])


async def test_an_encoded_request_is_refused(tmp_path: Path) -> None:
    async with openai(tmp_path) as (agent, api):
        headers = {**bearer(agent), "content-encoding": "zstd"}
        status, _ = await agent.post("/v1/responses", json=None, data=b"xxxx", headers=headers)

    assert status in (400, 415)
    assert api.asked == []


async def test_a_large_question_passes_and_a_larger_one_is_refused(tmp_path: Path) -> None:
    async with openai(tmp_path, request_bytes=1 << 20) as (agent, api):
        large = await agent.post("/v1/responses", json={**QUESTION, "input": "x" * 600_000}, headers=bearer(agent))
        larger = await agent.post("/v1/responses", json={**QUESTION, "input": "x" * 2_000_000}, headers=bearer(agent))

    assert (large[0], larger[0]) == (200, 413)
    assert len(api.asked) == 1


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("path", "body"), [("/v1/responses", QUESTION), ("/v1/chat/completions", CHAT)])
async def test_what_was_used_is_booked(tmp_path: Path, path: str, body: dict[str, object], stream: bool) -> None:
    async with openai(tmp_path) as (agent, _):
        await agent.post(path, json={**body, "stream": stream}, headers=bearer(agent))

    (booked,) = agent.till.booked
    wanted = (900, 800, 41) if path.endswith("responses") else (20, 5, 9)
    assert (booked.input_tokens, booked.cached_tokens, booked.output_tokens) == wanted
    plain, cached, answered = wanted[0] - wanted[1], wanted[1], wanted[2]
    assert booked.usd == pytest.approx((plain * 1.25 + cached * 0.125 + answered * 10) / 1e6)
    assert (booked.shape, booked.status, booked.priced, booked.estimated) == ("openai", 200, True, False)


async def test_many_ask_at_once_within_the_bound_of_their_api(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def wait(request: web.Request) -> web.Response:
        await release.wait()
        return web.json_response({})

    async with (
        upstream_that(wait) as url,
        behind_a_door(tmp_path, Upstreams(openai=Upstream(KEY, url, at_once=2))) as agent,
        asyncio.TaskGroup() as group,
    ):
        waiting = [group.create_task(agent.post("/v1/responses", json=QUESTION)) for _ in range(2)]
        await asyncio.sleep(0.2)
        status, _ = await agent.post("/v1/responses", json=QUESTION)
        release.set()

    assert status == 429
    assert [task.result()[0] for task in waiting] == [200, 200]
