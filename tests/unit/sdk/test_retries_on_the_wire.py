"""Against a server that does what it is told: how often it is asked, with which key, and what never is sent anywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from trunkline import AsyncClient
from trunkline.sdk import errors

JOB = '{"jobId": "j-1", "streamUrl": "/x", "soon": {"more": 1}}'


@dataclass
class Moody:
    """Answers one after the other, the last for ever: a status, headers and a body, or None for a connection that breaks."""

    answers: list[tuple[int, dict[str, str], str] | None]
    asked: list[web.Request] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.asked.append(request)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if found is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        status, headers, body = found
        return web.Response(status=status, headers={"Content-Type": "application/json", **headers}, text=body)

    @property
    def keys(self) -> list[str]:
        return [request.headers["Idempotency-Key"] for request in self.asked]


@asynccontextmanager
async def asking(*answers: tuple[int, dict[str, str], str] | None, **how: float) -> AsyncIterator[tuple[Moody, AsyncClient]]:
    moody = Moody(list(answers))
    site = web.Application()
    site.router.add_route("*", "/{path:.*}", moody.answer)
    async with TestServer(site) as server, AsyncClient(str(server.make_url("")), token="to.k.en", **how) as client:  # type: ignore[arg-type]
        yield moody, client


async def test_a_post_is_repeated_with_the_same_key_until_it_is_taken() -> None:
    away, full = (503, {"Retry-After": "0"}, "{}"), (429, {"Retry-After": "0"}, '{"error": "full"}')
    async with asking(away, None, full, (200, {}, JOB)) as (moody, client):
        job = await client.jobs.execute("o/n", "t")
    assert (job.job_id, job.model_extra) == ("j-1", {"soon": {"more": 1}})
    assert len(moody.keys) == 4 and len(set(moody.keys)) == 1


async def test_two_posts_have_two_keys() -> None:
    async with asking((200, {}, JOB)) as (moody, client):
        await client.jobs.execute("o/n", "t")
        await client.jobs.execute("o/n", "t")
    assert len(set(moody.keys)) == 2


async def test_a_change_that_may_have_been_made_is_not_made_twice() -> None:
    async with asking(None) as (moody, client):
        with pytest.raises(errors.UnreachableError):
            await client.tasks.edit_message("t", "m", "x")
    assert [request.method for request in moody.asked] == ["PATCH"]


async def test_a_limit_that_ends_tomorrow_is_told_now() -> None:
    body = '{"error": "Rate limit exceeded", "code": "RATE_LIMITED", "upgradeUrl": "https://example.org/up"}'
    async with asking((429, {"Retry-After": "3600"}, body)) as (moody, client):
        with pytest.raises(errors.RateLimitedError) as refused:
            await client.jobs.execute("o/n", "t")
    assert (refused.value.retry_after, refused.value.details["upgradeUrl"], len(moody.asked)) == (3600, "https://example.org/up", 1)


async def test_a_redirect_is_not_followed_with_a_credential() -> None:
    async with asking((302, {"Location": "http://evil.example/"}, "")) as (moody, client):
        with pytest.raises(errors.UnexpectedAnswerError, match="answers 302"):
            await client.jobs.get("j")
    assert len(moody.asked) == 1


@pytest.mark.parametrize("body", ["<html>", "[]", '{"jobId": 1}', ""])
async def test_what_speaks_another_language_is_no_gateway(body: str) -> None:
    async with asking((200, {}, body)) as (_, client):
        with pytest.raises(errors.UnexpectedAnswerError) as refused:
            await client.jobs.execute("o/n", "t")
    assert refused.value.code == "UNEXPECTED_ANSWER"


async def test_a_stream_that_is_refused_for_a_while_waits_as_long_as_it_is_told() -> None:
    events = ': open\n\nid: a-1\ndata: {"type": "error", "timestamp": "2025-01-12T10:01:00.000Z", "error": "no"}\n\n'
    full, page = (429, {"Retry-After": "0"}, "{}"), (200, {"Content-Type": "text/html"}, "<html>")
    async with asking(full, None, (502, {}, ""), (200, {"Content-Type": "text/event-stream"}, events), page) as (moody, client):
        assert [event.type async for event in client.jobs.stream("j")] == ["error"]
        assert len(moody.asked) == 4
        with pytest.raises(errors.UnexpectedAnswerError):
            await anext(client.jobs.stream("j"))


async def test_a_stream_that_comes_to_nothing_for_too_long_is_given_up() -> None:
    open_only, running = (200, {"Content-Type": "text/event-stream"}, ": open\n\n"), (200, {}, '{"job": {"id": "j", "status": "running"}}')
    async with asking(open_only, running, open_only, running, open_only, running, open_only, stream_retry_for=0.5) as (_, client):
        with pytest.raises(errors.TrunklineError):
            await anext(client.jobs.stream("j"))


async def test_what_is_said_of_the_client_is_little_and_what_is_asked_for_is_not_compressed() -> None:
    async with asking((200, {}, JOB)) as (moody, client):
        await client.jobs.execute("o/n", "t")
    sent = moody.asked[0].headers
    assert (sent["Authorization"], sent["Accept-Encoding"]) == ("Bearer to.k.en", "identity")
    assert sent["User-Agent"].startswith("trunkline-python/")
