"""Subscribers that mean harm, or are broken: each try of them fails, costs little and leads nowhere else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiohttp import web

from tests.flows.ear import Answer, Came, always, subscriber
from tests.flows.test_webhooks import Desk, at_work
from tests.unit.relay.timelines import submitted
from trunkline.contracts.webhook import LONGEST_ANSWER, DeliveryStatus, DeliveryView, WebhookStatus
from trunkline.testing.nats import NatsServer, nats_server

pytestmark = pytest.mark.flow
GIB = 1 << 30
PIECE = b"x" * (1 << 16)
MAY_LIE_ON_ITS_WAY = 64 << 20
"""Bytes in the buffers of two sockets, and far more."""


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server() as one:
        yield one


async def told(one: Desk, url: str, status: DeliveryStatus = DeliveryStatus.RETRYING) -> DeliveryView:
    """What became of one event, told there."""
    made = await one.active(url, "task.created")
    await one.happens("t1", submitted())
    (tried,) = await one.ended(made.webhook.id, status)
    return tried


class Flood:
    """An answer of 1 GiB, and how much of it went out."""

    def __init__(self) -> None:
        self.sent = 0

    async def answer(self, _: Came) -> web.StreamResponse:
        return web.Response(body=self._pieces(), headers={"Content-Length": str(GIB)})

    async def _pieces(self) -> AsyncIterator[bytes]:
        while self.sent < GIB:
            self.sent += len(PIECE)
            yield PIECE


async def test_of_one_gibibyte_64_kib_are_read_and_no_more_is_waited_for(server: NatsServer) -> None:
    flood = Flood()
    async with at_work(server) as one, subscriber(flood.answer) as ear:
        tried = await told(one, ear.url, DeliveryStatus.DELIVERED)
        assert tried.answer is not None
        assert (len(tried.answer.body), tried.answer.cut, tried.tries) == (LONGEST_ANSWER, True, 1)
        assert flood.sent < MAY_LIE_ON_ITS_WAY


async def never(_: Came) -> web.StreamResponse:
    await asyncio.Event().wait()
    return web.Response()


async def drip(_: Came) -> web.StreamResponse:
    async def drops() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.02)

    return web.Response(body=drops())


@pytest.mark.parametrize("answer", [never, drip])
async def test_who_never_answers_or_never_ends_has_failed_when_its_time_is_over(server: NatsServer, answer: Answer) -> None:
    async with at_work(server, webhook_answer_within_s=1.5) as one, subscriber(answer) as ear:
        tried = await told(one, ear.url)
        assert (tried.answer, tried.history[0].error) == (None, "no answer within 1.5 seconds")


async def test_a_redirect_inward_is_not_followed_and_has_failed(server: NatsServer) -> None:
    async with at_work(server) as one, subscriber() as inner, subscriber() as ear:
        ear.answer = always(302, {"Location": f"{inner.url}/latest/meta-data"})
        tried = await told(one, ear.url)
        assert (tried.history[0].status, tried.tries) == (302, 1)
        assert "redirects are not followed" in tried.history[0].error
        assert inner.came == inner.asked == []


async def test_a_name_that_leads_inward_once_it_is_verified_is_told_nothing(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    usual, looks = socket.getaddrinfo, list[str]()

    def rebinding(host: str, *rest: Any, **more: Any) -> Any:
        """As its name servers answer: where it may be told while it is registered and verified, and then where nobody may."""
        if host != "turns.example":
            return usual(host, *rest, **more)
        looks.append("10.0.0.1" if len(looks) > 1 else "127.0.0.1")
        return usual(looks[-1], *rest, **more)

    async with at_work(server) as one, subscriber() as ear:
        ear.closes = True
        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        made = await one.active(ear.url.replace("127.0.0.1", "turns.example"), "task.created")
        await one.happens("t1", submitted())
        (tried,) = await one.ended(made.webhook.id, DeliveryStatus.RETRYING)
        assert (len(ear.asked), ear.came, looks[:3]) == (1, [], ["127.0.0.1", "127.0.0.1", "10.0.0.1"])
        assert "not one of the public Internet" in tried.history[0].error
        assert (await one.standing(made.webhook.id, WebhookStatus.ACTIVE)).problem == ""
