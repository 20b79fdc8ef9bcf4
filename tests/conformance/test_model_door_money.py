"""What the model door says about money: each answer is booked once, whoever hangs up, and a till that holds holds everybody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import pytest
from aiohttp import web

from tests.conformance.door_bench import ASK, KEY, behind_a_door, error_of, scripted, upstream_that
from trunkline.contracts.errors import Exhausted, Unavailable
from trunkline.contracts.spend import ModelAnswered
from trunkline.testing.scripted_model import Cut, Fail, Text
from trunkline_sandbox.adapters.model.shapes import Upstream

ASKED = {**ASK, "model": "claude-opus-4-5"}


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A short one: the path of a socket has 107 bytes."""
    with TemporaryDirectory(prefix="door-") as folder:
        yield Path(folder)


async def test_a_stream_is_booked_with_its_tokens_and_its_price(tmp_path: Path) -> None:
    async with scripted(tmp_path, Text("Hello.")) as (agent, _):
        await agent.post(json=ASKED)

    (booked,) = agent.till.booked
    assert (booked.input_tokens, booked.cached_tokens, booked.output_tokens) == (160, 50, 12)
    assert booked.usd == pytest.approx((110 * 5 + 50 * 0.5 + 12 * 25) / 1e6)
    assert (booked.model, booked.shape, booked.status) == ("claude-opus-4-5", "anthropic", 200)
    assert (booked.priced, booked.estimated) == (True, False)
    assert booked.first_byte_ms <= booked.took_ms


async def test_each_answer_has_a_name_of_its_own(tmp_path: Path) -> None:
    async with scripted(tmp_path, Text("Hello.")) as (agent, _):
        for _ in range(3):
            await agent.post(json=ASKED)

    assert len({each.request for each in agent.till.booked}) == 3


@pytest.mark.parametrize("status", [400, 401, 429, 500, 529])
async def test_an_error_of_the_model_is_not_booked(tmp_path: Path, status: int) -> None:
    async with scripted(tmp_path, Fail(status, always=True)) as (agent, _):
        await agent.post(json=ASKED)

    assert agent.till.booked == []


async def test_a_stream_that_breaks_is_booked_with_an_estimate(tmp_path: Path) -> None:
    async with scripted(tmp_path, Cut(after_events=3, always=True), Text("never whole, but something passed")) as (agent, _):
        with pytest.raises(aiohttp.ClientError):
            await agent.post(json=ASKED)

    (booked,) = agent.till.booked
    assert (booked.input_tokens, booked.estimated) == (160, True)
    assert booked.output_tokens >= 8


async def test_a_model_that_is_not_there_costs_nothing(tmp_path: Path) -> None:
    async with behind_a_door(tmp_path, Upstream(KEY, "http://127.0.0.1:9")) as agent:
        await agent.post(json=ASKED)

    assert agent.till.booked == []


async def test_an_agent_that_hangs_up_before_the_first_byte_pays_for_its_question(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        asked.set()
        await asyncio.sleep(5)
        return web.Response()

    async with upstream_that(answer) as url, behind_a_door(tmp_path, Upstream(KEY, url)) as agent:
        asking = asyncio.get_running_loop().create_task(agent.post(json=ASKED))
        async with asyncio.timeout(5):
            await asked.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    (booked,) = agent.till.booked
    assert (booked.input_tokens, booked.output_tokens, booked.estimated) == (-(-len(json.dumps(ASKED)) // 4), 0, True)
    assert (booked.model, booked.priced) == ("claude-opus-4-5", True)


async def test_an_agent_that_hangs_up_at_the_last_byte_is_booked_as_told(tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        start = {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 7, "output_tokens": 1}}}
        end = {"type": "message_delta", "usage": {"output_tokens": 3}}
        await response.write("".join(f"data: {json.dumps(each)}\n\n" for each in (start, end)).encode())
        await asyncio.sleep(5)
        return response

    async with upstream_that(answer) as url, behind_a_door(tmp_path, Upstream(KEY, url)) as agent:
        got = await agent.session.post("http://x/v1/messages", json=ASKED, headers=agent.headers())
        await got.content.readany()
        got.close()

    (booked,) = agent.till.booked
    assert (booked.input_tokens, booked.output_tokens, booked.estimated) == (7, 3, False)


async def test_counting_tokens_and_listing_models_is_free_and_never_held(tmp_path: Path) -> None:
    async with scripted(tmp_path, Text("x")) as (agent, model), behind_a_door(tmp_path / "b", Upstream(KEY, model.url), Shut()) as held:
        async with asyncio.timeout(5):
            assert (await agent.post("/v1/messages/count_tokens", json=ASKED))[0] == 200
            assert (await held.post("/v1/messages/count_tokens", json=ASKED))[0] == 200
        assert agent.till.booked == []


class Shut:
    """A till that lets in once it is opened."""

    def __init__(self, error: Exception | None = None) -> None:
        self.opened = asyncio.Event()
        self.error = error
        self.booked: list[ModelAnswered] = []

    async def admit(self) -> None:
        if self.error:
            raise self.error
        await self.opened.wait()

    async def spent(self, answer: ModelAnswered) -> None:
        await asyncio.sleep(0.05)
        self.booked.append(answer)


async def test_a_held_request_goes_on_when_it_is_let_in(tmp_path: Path) -> None:
    till = Shut()
    async with (
        scripted(tmp_path / "a", Text("x")) as (_, model),
        behind_a_door(tmp_path, Upstream(KEY, model.url), till) as agent,
        asyncio.TaskGroup() as group,
    ):
        held = group.create_task(agent.post(json=ASKED))
        await asyncio.sleep(0.2)
        assert (held.done(), model.asked) == (False, [])
        till.opened.set()

    assert held.result()[0] == 200
    assert len(till.booked) == 1


async def test_a_request_that_may_not_be_paid_is_refused_and_not_to_be_tried_again(tmp_path: Path) -> None:
    till = Shut(Exhausted("this job spent 5.00 of 5.00 US dollars", code="BUDGET"))
    async with scripted(tmp_path / "a", Text("x")) as (_, model), behind_a_door(tmp_path, Upstream(KEY, model.url), till) as agent:
        got = await agent.session.post("http://x/v1/messages", json=ASKED, headers=agent.headers())
        text = await got.text()

    assert (got.status, got.headers["x-should-retry"], error_of(text)) == (402, "false", "billing_error")
    assert "5.00 of 5.00" in text
    assert model.asked == []


async def test_closing_the_door_waits_until_everything_is_booked(tmp_path: Path) -> None:
    till = Shut()
    till.opened.set()
    async with scripted(tmp_path / "a", Text("x")) as (_, model), behind_a_door(tmp_path, Upstream(KEY, model.url), till) as agent:
        await asyncio.gather(*(agent.post(json=ASKED) for _ in range(5)))

    assert len(till.booked) == 5


async def test_a_door_stays_open_when_its_books_cannot_be_kept(tmp_path: Path) -> None:
    class Away(Shut):
        async def spent(self, answer: ModelAnswered) -> None:
            raise Unavailable("the bus is away", code="BUS_AWAY")

    till = Away()
    till.opened.set()
    async with scripted(tmp_path / "a", Text("x")) as (_, model), behind_a_door(tmp_path, Upstream(KEY, model.url), till) as agent:
        assert [(await agent.post(json=ASKED))[0] for _ in range(2)] == [200, 200]
