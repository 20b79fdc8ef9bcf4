"""An answer that is written in one piece says what aiohttp would have said."""

from __future__ import annotations

import pytest
from aiohttp import ClientSession, web

from tests.flows.small_gateway import SPEC, Small, small
from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline_gateway.dialect import Route
from trunkline_gateway.dressing import JSON

OF_EACH = ("date", "x-request-id", "traceparent")
STATUSES = (200, 201, 202, 204, 404, 409)


async def answer(request: web.Request, principal: Principal) -> web.Response:
    status = int(request.query["status"])
    return web.Response(body=b"" if status == 204 else b'{"said": "\xc3\xa9"}', status=status, headers=JSON)


async def asked(site: ClientSession, method: str, status: int, **headers: str) -> tuple[int, str | None, dict[str, str], bytes]:
    async with site.request(method, "/whole", params={"status": status}, headers=headers) as heard:
        told = {name.lower(): value for name, value in heard.headers.items() if name.lower() not in (*OF_EACH, "connection")}
        assert all(heard.headers[name] for name in OF_EACH)
        return heard.status, heard.reason, told, await heard.read()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_an_answer_in_one_piece_is_the_one_that_aiohttp_writes(method: str) -> None:
    async with small(Small(more=[Route("GET", "/whole", Action.LOOK_AROUND, answer, SPEC)])) as site:
        for status in STATUSES:
            assert await asked(site, method, status) == await asked(site, method, status, Connection="close")


async def test_what_follows_on_the_same_connection_is_answered_too() -> None:
    async with small(Small(more=[Route("GET", "/whole", Action.LOOK_AROUND, answer, SPEC)])) as site:
        said = [await asked(site, method, 200) for method in ("GET", "HEAD", "GET", "GET")]
        assert [body for *_, body in said] == [said[0][-1], b"", said[0][-1], said[0][-1]]
