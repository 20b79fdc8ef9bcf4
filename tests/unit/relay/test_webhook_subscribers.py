"""Telling subscribers that mean harm: redirects, names that lead inward on the second look, answers without end, and no answer."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_network
from typing import Any

import pytest
from aiohttp import web

from tests.flows.ear import Answer, Came, always, subscriber
from trunkline.contracts.webhook import LONGEST_ANSWER, Answered
from trunkline_relay.adapters.subscribers import subscribers
from trunkline_relay.model.addresses import Reach
from trunkline_relay.model.lines import Sign
from trunkline_relay.model.trying import Attempt, Verdict, sign, verdict, why

LOCAL = Reach((ip_network("127.0.0.0/8"),))
WITHIN = 15.0
BODY = b'{"type":"task.created"}'


async def told(answer: Answer, within_s: float = WITHIN) -> tuple[Attempt, list[Came]]:
    async with subscriber(answer) as ear, subscribers(LOCAL, within_s) as outside:
        return await outside.post(ear.url, {"content-type": "application/json"}, BODY), ear.came


async def test_an_answer_is_kept_with_its_status_headers_and_body() -> None:
    attempt, came = await told(always(202, {"X-Their-Id": "7", "Set-Cookie": "a=b"}, "thanks"))
    assert attempt.answer is not None
    assert (attempt.answer.status, attempt.answer.body, attempt.answer.headers["x-their-id"]) == (202, "thanks", "7")
    assert "set-cookie" not in attempt.answer.headers
    assert came[0].body == BODY


async def test_a_redirect_is_not_followed() -> None:
    async with subscriber() as inner:
        attempt, _ = await told(always(307, {"Location": inner.url}))
        assert "redirects are not followed" in why(attempt)
        assert inner.came == []


async def test_of_an_answer_without_end_so_much_is_read_and_no_more() -> None:
    sent = 0

    async def endless(_: Came) -> web.StreamResponse:
        return web.Response(body=flood())

    async def flood() -> Any:
        nonlocal sent
        while True:
            sent += 1 << 16
            yield b"x" * (1 << 16)

    attempt, _ = await told(endless)
    assert attempt.answer is not None
    assert (len(attempt.answer.body), attempt.answer.cut) == (LONGEST_ANSWER, True)
    assert verdict(attempt) is Verdict.DELIVERED
    assert sent < 64 << 20


async def test_a_compressed_answer_is_not_blown_up() -> None:
    attempt, _ = await told(bomb)
    assert attempt.answer is not None
    assert len(attempt.answer.body) <= LONGEST_ANSWER


async def bomb(_: Came) -> web.StreamResponse:
    return web.Response(body=gzip.compress(b"0" * (32 << 20)), headers={"Content-Encoding": "gzip"})


async def never(_: Came) -> web.StreamResponse:
    await asyncio.Event().wait()
    return web.Response()


async def drip(_: Came) -> web.StreamResponse:
    async def drops() -> Any:
        while True:
            yield b"x"
            await asyncio.sleep(0.02)

    return web.Response(body=drops())


@pytest.mark.parametrize("answer", [never, drip])
async def test_who_never_answers_or_never_ends_is_waited_for_so_long(answer: Answer) -> None:
    attempt, _ = await told(answer, within_s=0.3)
    assert why(attempt) == "no answer within 0.3 seconds"
    assert sign(attempt) is Sign.SILENT


async def test_a_name_that_means_another_address_on_the_second_look_is_refused_when_it_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = iter(["127.0.0.1", "10.0.0.1", "127.0.0.1"])
    usual = socket.getaddrinfo

    def rebinding(host: str, port: int, *rest: Any) -> Any:
        return usual(next(looks) if host == "turns.example" else host, port, *rest)

    async with subscriber(always(200, {"Connection": "close"})) as ear, subscribers(LOCAL, WITHIN) as outside:
        url = ear.url.replace("127.0.0.1", "turns.example")
        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        first, second, third = [await outside.post(url, {}, BODY) for _ in range(3)]
        assert verdict(first) is verdict(third) is Verdict.DELIVERED
        assert "not one of the public Internet" in why(second)
        assert sign(second) is Sign.WELL
        assert len(ear.came) == 2


async def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with subscriber() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        attempt, came = await told(always(200))
        assert verdict(attempt) is Verdict.DELIVERED
        assert (len(came), len(proxy.came)) == (1, 0)


@asynccontextmanager
async def saying(*answers: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Says this to one request after the other, whatever it is asked, and hangs up where it says nothing; its url, and what came."""
    left, came = iter(answers), list[bytes]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                came.append(head + await reader.readexactly(len(BODY)))
                answer = next(left)
                writer.write(answer)
                if not answer:
                    break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/in?a=b%20c", came


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def test_a_request_is_what_its_headers_and_body_say_and_goes_to_the_address_as_it_is_written() -> None:
    async with saying(OK) as (url, came), subscribers(LOCAL, WITHIN) as outside:
        assert verdict(await outside.post(url, {"content-type": "application/json", "webhook-id": "dlv_1"}, BODY)) is Verdict.DELIVERED
    lines = came[0].decode().split("\r\n")
    assert (lines[0], lines[-2:]) == ("POST /in?a=b%20c HTTP/1.1", ["", BODY.decode()])
    assert sorted(line.lower() for line in lines[1:-2]) == sorted(
        ["accept: */*", f"content-length: {len(BODY)}", "content-type: application/json", f"host: {url.split('/')[2]}", "webhook-id: dlv_1"]
    )


async def test_what_is_said_before_the_answer_is_no_answer() -> None:
    async with saying(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + OK) as (url, _), subscribers(LOCAL, WITHIN) as outside:
        attempt = await outside.post(url, {}, BODY)
        assert (attempt.answer and attempt.answer.status, attempt.answer and attempt.answer.body) == (200, "ok")


async def test_an_answer_whose_headers_are_no_text_can_be_written_down() -> None:
    odd = b"HTTP/1.1 200 OK\r\nx-odd: a\xffb\r\ncontent-length: 0\r\n\r\n"
    async with saying(odd) as (url, _), subscribers(LOCAL, WITHIN) as outside:
        attempt = await outside.post(url, {}, BODY)
        assert attempt.answer is not None
        assert Answered.model_validate_json(attempt.answer.model_dump_json()).headers["x-odd"] == "a\ufffdb"


async def test_a_kept_connection_that_was_closed_meanwhile_is_no_failure() -> None:
    async with saying(OK, b"", OK) as (url, came), subscribers(LOCAL, WITHIN) as outside:
        assert [verdict(await outside.post(url, {}, BODY)) for _ in range(2)] == [Verdict.DELIVERED] * 2
        assert len(came) == 3


async def test_who_answers_no_http_has_failed_and_a_connection_where_more_came_than_was_asked_for_is_not_used_again() -> None:
    async with saying(b"SSH-2.0-OpenSSH_9.6\r\n\r\n") as (url, _), subscribers(LOCAL, WITHIN) as outside:
        assert why(await outside.post(url, {}, BODY)) == "what it answered is no HTTP"
    async with saying(OK + OK, b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n") as (url, _), subscribers(LOCAL, WITHIN) as outside:
        assert [verdict(await outside.post(url, {}, BODY)) for _ in range(2)] == [Verdict.DELIVERED, Verdict.FAILED]


@pytest.mark.parametrize("text", ["a\r\nx: y", "a\nx: y", "a\rb"])
async def test_a_header_of_two_lines_is_never_sent(text: str) -> None:
    async with saying(OK) as (url, came), subscribers(LOCAL, WITHIN) as outside:
        assert verdict(await outside.post(url, {"webhook-id": text}, BODY)) is Verdict.FAILED
        assert came == []


async def test_plain_http_goes_to_allowed_networks_only() -> None:
    async with subscriber() as ear, subscribers(Reach((ip_network("10.0.0.0/8"),)), WITHIN) as outside:
        attempt = await outside.post(ear.url, {}, BODY)
        assert "not one of the public Internet" in why(attempt)
        assert ear.came == []
