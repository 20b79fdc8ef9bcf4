"""A stream that is closed in order is over only where it can be: a break that a proxy took for an end is none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from trunkline import AsyncClient

JOB = "0194589f-6d00-7000-8000-000000000001"
OVER = f'{{"job": {{"id": "{JOB}", "status": "success"}}}}'
OPEN = ": open\n\n"
AGENT = 'id: e-{}\ndata: {{"type": "agent", "eventType": "message", "output": "x"}}\n\n'
RESULT = 'id: e-401\ndata: {"type": "result", "success": true, "result": {"prUrl": "https://example.com/pull/1"}}\n\n'
HALF_A_REFUSAL = '{"error": "it is being started'
REST = OPEN + AGENT.format(2) + AGENT.format(3) + RESULT


@dataclass
class Told:
    """Streams one after the other, the last for ever, each closed in order behind what it says; the job is over already."""

    streams: list[str]
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path.rpartition("/")[2])
        if self.asked[-1] != "stream":
            return web.Response(text=OVER, content_type="application/json")
        assert request.headers["Last-Event-ID"] == "e-1"
        text = self.streams.pop(0) if len(self.streams) > 1 else self.streams[0]
        if text == HALF_A_REFUSAL:
            return await self._half(request, text)
        return web.Response(text=text, content_type="text/event-stream")

    async def _half(self, request: web.Request, text: str) -> web.StreamResponse:
        response = web.StreamResponse(status=503, headers={"Content-Type": "application/json", "Content-Length": "185"})
        await response.prepare(request)
        await response.write(text.encode())
        assert request.transport is not None
        request.transport.close()
        return response


@asynccontextmanager
async def telling(*streams: str) -> AsyncIterator[tuple[Told, AsyncClient]]:
    told, site = Told(list(streams)), web.Application()
    site.router.add_route("*", "/{path:.*}", told.answer)
    async with TestServer(site) as server, AsyncClient(str(server.make_url("")), stream_retry_for=60) as client:
        yield told, client


@pytest.mark.parametrize("torn", ["", ": op", f"{OPEN}id: e-2\n", f"{OPEN}id: e-2\ndata: {{", f"{OPEN}id: e-2\ndata: {{}}\n"])
async def test_a_break_that_a_proxy_takes_for_an_end_is_none_also_when_the_job_is_over(torn: str) -> None:
    async with telling(torn, torn, torn, REST) as (told, client):
        assert [event.id async for event in client.jobs.stream(JOB, after="e-1")] == ["e-2", "e-3", "e-401"]
    assert told.asked == ["stream"] * 4


async def test_also_behind_an_end_that_was_one_a_break_is_none() -> None:
    async with telling(OPEN, "", f"{OPEN}id: e-2\ndata: {{", REST) as (told, client):
        assert [event.id async for event in client.jobs.stream(JOB, after="e-1")] == ["e-2", "e-3", "e-401"]
    assert told.asked == ["stream", JOB, "stream", "stream", "stream"]


async def test_a_job_whose_end_was_seen_already_ends_the_stream_and_is_asked_about_once() -> None:
    async with telling(OPEN) as (told, client):
        assert [event.id async for event in client.jobs.stream(JOB, after="e-1")] == []
    assert told.asked == ["stream", JOB, "stream"]


async def test_a_refusal_that_breaks_off_is_a_break_like_any_other() -> None:
    async with telling(HALF_A_REFUSAL, HALF_A_REFUSAL, REST) as (told, client):
        assert [event.id async for event in client.jobs.stream(JOB, after="e-1")] == ["e-2", "e-3", "e-401"]
    assert told.asked == ["stream"] * 3
