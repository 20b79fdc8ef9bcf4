"""What breaks below every middleware is told in one line of ours, without the error's text."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from trunkline_gateway.adapters import wire
from trunkline_gateway.adapters.company import Company

ASKED: Final = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(("error", "level"), [(ValueError, "error"), (web.RequestPayloadError, "info")])
def test_an_error_of_the_server_is_told_without_its_text(
    error: type[Exception], level: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    logger = wire.quiet_logger()
    with capture_logs() as lines:
        try:
            raise error("Bearer ghp_canary")
        except error as caught:
            logger.exception("Unhandled exception of %s", "ghp_canary", exc_info=caught)
    (line,) = lines
    assert (line["event"], line["log_level"], line["error"]) == ("http.connection_broken", level, error.__name__)
    assert line["where"].startswith("test_an_error_of_the_server")
    out = capsys.readouterr()
    assert "canary" not in repr(lines) + out.out + out.err + caplog.text


def test_what_aiohttp_says_of_its_own_accord_is_told_the_same_way() -> None:
    with capture_logs() as lines:
        wire.quiet_logger().warning("ghp_canary")
        wire.quiet_logger().debug("ghp_canary")
    (line,) = lines
    assert (line["event"], line["error"]) == ("http.connection_broken", "WARNING")
    assert line["where"].startswith("test_what_aiohttp_says")
    assert "canary" not in repr(lines)


async def test_the_server_of_the_gateway_has_that_logger() -> None:
    server = wire.server(_never)
    assert server._kwargs["logger"] is logging.getLogger("trunkline_gateway.http")
    assert server._kwargs["access_log"] is None


async def _never(request: web.Request) -> web.StreamResponse:
    raise AssertionError("nothing was asked")


async def test_connections_beyond_the_most_are_refused_and_the_others_stay() -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(text="here")

    server = web.Server(answer)
    listener = await asyncio.get_running_loop().create_server(lambda: wire.connection(server, (), Company(()), 2), "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with asyncio.timeout(10):
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        held[1][1].write(ASKED)
        assert b" 200 " in await held[1][0].readuntil(b"here")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        told = await reader.read()
        assert told.startswith(b"HTTP/1.1 503 ") and b"Retry-After: 2" in told
        writer.close()
        held[0][1].write(ASKED)
        assert b" 200 " in await held[0][0].readuntil(b"here")
    for _, writer in held:
        writer.close()
        await writer.wait_closed()
    listener.close()
    await server.shutdown(1)
