"""A reader is cut for taking nothing, never for taking slowly: what counts is whether bytes leave, by either way."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from trunkline_gateway.broadcast import Line
from trunkline_gateway.sockets import Manners, _Socket
from trunkline_gateway.sse import StreamLimits, _Line

AT_ONCE: Final = 1e-9
"""Seconds: one look at which nothing has left since the one before is the end."""
PIECE: Final = 64 << 10
DEADLINE: Final = 20

Look = Callable[[], None]
Way = Callable[[web.Request], Awaitable[tuple[Line, Look]]]


@dataclass
class Connection:
    """One reader's, who has to take by hand; `look` is what the sweep does."""

    reader: socket.socket
    transport: asyncio.Transport
    look: Look

    async def lags(self) -> None:
        while not self.transport.get_write_buffer_size():  # noqa: ASYNC110 (of what the kernel takes no event tells)
            await asyncio.sleep(0.005)

    async def take(self, size: int) -> None:
        while size > 0:
            size -= len(await asyncio.get_running_loop().sock_recv(self.reader, size))

    async def until_cut(self) -> None:
        while not self.transport.is_closing():
            self.look()
            await asyncio.sleep(0.005)


async def by_socket(request: web.Request) -> tuple[Line, Look]:
    line = _Socket(request, PIECE, lambda: True)
    return line, lambda: line.tick(Manners(silent_s=AT_ONCE), AT_ONCE)


async def by_events(request: web.Request) -> tuple[Line, Look]:
    response = web.StreamResponse()
    await response.prepare(request)
    line = _Line(request, response, StreamLimits(stall=AT_ONCE, buffer=PIECE))
    return line, lambda: line.tick(doubtful=False)


@asynccontextmanager
async def lagging(way: Way) -> AsyncIterator[Connection]:
    """A reader to whom more is sent than it takes."""
    loop = asyncio.get_running_loop()
    opened: asyncio.Future[tuple[asyncio.Transport, Look]] = loop.create_future()

    async def serve(request: web.Request) -> web.StreamResponse:
        line, look = await way(request)
        assert request.transport
        opened.set_result((request.transport, look))
        with suppress(ConnectionResetError):
            while True:
                await line.send(b"x" * PIECE)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", serve)
    async with TestServer(app) as server, asyncio.timeout(DEADLINE):
        with socket.socket() as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.setblocking(False)
            await loop.sock_connect(reader, ("127.0.0.1", server.port))
            await loop.sock_sendall(reader, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            transport, look = await opened
            yield Connection(reader, transport, look)
            transport.abort()


@pytest.mark.parametrize("way", [by_socket, by_events])
async def test_a_reader_that_takes_slowly_is_kept_and_one_that_takes_nothing_is_cut(way: Way) -> None:
    async with lagging(way) as connection:
        for _ in range(8):
            await connection.lags()
            connection.look()
            assert not connection.transport.is_closing()
            assert connection.transport.get_write_buffer_size() <= 3 * PIECE
            await connection.take(PIECE)
        await connection.until_cut()
