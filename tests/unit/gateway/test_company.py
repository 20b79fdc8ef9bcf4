"""A request that may wait waits for company, and is then read as if it had come that moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import pytest
from aiohttp import web

from trunkline_gateway.adapters import wire
from trunkline_gateway.adapters.company import MOST, Company

NEVER: Final = 3600.0
"""Seconds: what is read all the same was brought by something else than time."""
SOON: Final = 10.0
PATIENT: Final = (("POST", "/agents/{id}/heartbeat"),)
BEAT: Final = b"POST /agents/7/heartbeat HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\n{}"
OTHER: Final = b"GET /else HTTP/1.1\r\nHost: here\r\n\r\n"


class Line(NamedTuple):
    """One connection of a client."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answers(self, count: int = 1) -> list[str]:
        return [(await self.reader.readuntil(b"!")).rpartition(b"\r\n")[2].decode() for _ in range(count)]

    async def asked(self, request: bytes) -> list[str]:
        self.writer.write(request)
        return await self.answers()


class Place:
    """A server that says what it was asked."""

    def __init__(self, company: Company) -> None:
        self.company, self.port = company, 0
        self._lines: list[Line] = []

    async def line(self) -> Line:
        self._lines.append(Line(*await asyncio.open_connection("127.0.0.1", self.port)))
        return self._lines[-1]

    async def waiting(self, request: bytes = BEAT) -> Line:
        """A connection on which that has come, and waits."""
        line, before = await self.line(), len(self.company)
        line.writer.write(request)
        while len(self.company) == before:  # noqa: ASYNC110 (whether it has come, nobody tells a client)
            await asyncio.sleep(0.001)
        return line


@asynccontextmanager
async def place(wait_s: float = NEVER, warm_s: float = -1.0) -> AsyncIterator[Place]:
    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(text=f"{request.method} {request.path} {await request.text()}!")

    server, made = web.Server(answer), Place(Company(PATIENT, wait_s, warm_s))
    listener = await asyncio.get_running_loop().create_server(lambda: wire.connection(server, (), made.company, 100), "127.0.0.1", 0)
    made.port = listener.sockets[0].getsockname()[1]
    async with asyncio.timeout(SOON):
        yield made
    for line in made._lines:
        line.writer.close()
    listener.close()
    await server.shutdown(1)


async def test_one_that_comes_alone_is_answered_when_its_wait_is_over() -> None:
    async with place(wait_s=0.01) as here:
        line = await here.line()
        assert await line.asked(BEAT) == ["POST /agents/7/heartbeat {}!"]
        assert await line.asked(BEAT) == ["POST /agents/7/heartbeat {}!"]


async def test_whatever_else_is_asked_has_all_that_wait_answered() -> None:
    async with place() as here:
        lines = [await here.waiting() for _ in range(3)]
        assert await (await here.line()).asked(OTHER) == ["GET /else !"]
        assert [await line.answers() for line in lines] == [["POST /agents/7/heartbeat {}!"]] * 3


async def test_whatever_is_no_patient_request_is_answered_at_once() -> None:
    others = [
        BEAT.replace(b"POST", b"PUT"), BEAT.replace(b"heartbeat", b"heartbeats"), BEAT.replace(b"/7/", b"/7/8/"),
        BEAT.replace(b" HTTP", b"?a=b HTTP"), BEAT.replace(b"here", b"h" * MOST),
    ]  # fmt: skip
    async with place() as here:
        for request in others:
            assert (await (await here.line()).asked(request))[0].endswith(" {}!")


async def test_one_that_comes_right_after_others_is_answered_at_once() -> None:
    async with place(warm_s=NEVER) as here:
        await here.waiting()
        await (await here.line()).asked(OTHER)
        assert await (await here.line()).asked(BEAT) == ["POST /agents/7/heartbeat {}!"]


@pytest.mark.parametrize("cut", [40, len(BEAT) - 2, len(BEAT) - 1])
async def test_one_that_comes_in_pieces_is_read_whole_and_with_the_second_of_them(cut: int) -> None:
    async with place() as here:
        line = await here.waiting(BEAT[:cut])
        assert await line.asked(BEAT[cut:]) == ["POST /agents/7/heartbeat {}!"]


async def test_what_follows_on_the_same_connection_is_answered_in_its_order() -> None:
    async with place() as here:
        line = await here.waiting(BEAT + BEAT)
        line.writer.write(OTHER)
        assert await line.answers(3) == ["POST /agents/7/heartbeat {}!", "POST /agents/7/heartbeat {}!", "GET /else !"]


async def test_one_whose_connection_is_lost_meanwhile_harms_nobody() -> None:
    async with place() as here:
        lost, stays = await here.waiting(), await here.waiting()
        lost.writer.transport.abort()
        await (await here.line()).asked(OTHER)
        assert await stays.answers() == ["POST /agents/7/heartbeat {}!"]


async def test_nothing_waits_any_longer_than_the_server() -> None:
    async with place() as here:
        line = await here.waiting()
        here.company.disperse()
        assert await line.answers() == ["POST /agents/7/heartbeat {}!"]
