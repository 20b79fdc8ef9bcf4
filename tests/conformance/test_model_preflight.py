"""Before an agent is started: whether there is a key, and whether what is behind it answers."""

from __future__ import annotations

import pytest
from aiohttp import web

from tests.conformance.door_bench import KEY, upstream_that
from trunkline.contracts.errors import DomainError
from trunkline.testing.nats import free_port
from trunkline_sandbox.adapters.model.door import model_session
from trunkline_sandbox.adapters.model.preflight import reach
from trunkline_sandbox.adapters.model.shapes import Upstream, Upstreams


async def reached(status: int, shape: str = "anthropic") -> list[web.Request]:
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request)
        return web.json_response({}, status=status)

    async with upstream_that(answer) as url, model_session() as session:
        await reach(Upstreams(**{shape: Upstream(KEY, url)}), session)
    return asked


@pytest.mark.parametrize(("shape", "header", "shown"), [("anthropic", "x-api-key", KEY), ("openai", "authorization", f"Bearer {KEY}")])
async def test_the_list_of_models_is_asked_for_with_the_key(shape: str, header: str, shown: str) -> None:
    [request] = await reached(200, shape)
    assert (request.method, request.path, request.headers[header]) == ("GET", "/v1/models", shown)


@pytest.mark.parametrize("status", [302, 400, 404, 429])
async def test_whatever_answers_is_there(status: int) -> None:
    assert len(await reached(status)) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "MODEL_KEY_REFUSED"), (403, "MODEL_KEY_REFUSED"), (500, "MODEL_UNREACHABLE"), (529, "MODEL_UNREACHABLE")],
)
async def test_a_key_that_is_refused_and_a_model_that_is_away_are_told_apart(status: int, code: str) -> None:
    with pytest.raises(DomainError) as refusal:
        await reached(status)
    assert refusal.value.code == code
    assert KEY not in refusal.value.message


@pytest.mark.parametrize(("key", "code"), [(KEY, "MODEL_UNREACHABLE"), ("", "MODEL_NOT_CONFIGURED"), (" ", "MODEL_NOT_CONFIGURED")])
async def test_nobody_there_and_no_key(key: str, code: str) -> None:
    async with model_session() as session:
        with pytest.raises(DomainError) as refusal:
            await reach(Upstreams(Upstream(key, f"http://127.0.0.1:{free_port()}")), session)
    assert refusal.value.code == code
