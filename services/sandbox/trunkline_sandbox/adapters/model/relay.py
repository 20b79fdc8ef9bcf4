"""What happens to one request at the model door: checked, let in, given the real key, streamed to the model API and back, and booked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

import aiohttp
import structlog
from aiohttp import hdrs, web
from multidict import CIMultiDict

from trunkline.contracts.errors import DomainError, Exhausted, Invalid
from trunkline.contracts.spend import ModelAnswered
from trunkline.runtime.ids import new_id
from trunkline.telemetry.traces import current, part_of
from trunkline_sandbox.adapters.model.bill import Bill
from trunkline_sandbox.adapters.model.headers import AUTHORIZATION, inward, outward, token_in
from trunkline_sandbox.adapters.model.questions import LARGE, Question, judged
from trunkline_sandbox.adapters.model.shapes import Purpose, Shape, Upstream, Upstreams, offered, refusal, spoken
from trunkline_sandbox.ports import Till

log = structlog.get_logger(__name__)

_ENCODED: Final = ("", "identity")
_PIECE: Final = 256 << 10


class _TooLong(Exception):
    """A body passed its bound."""


class _Crowded(Exception):
    """The requests of a job are too large together."""


@dataclass(frozen=True, slots=True)
class _Passage:
    """One request that is on its way through the door."""

    request: web.Request
    shape: Shape
    purpose: Purpose
    upstream: Upstream
    headers: CIMultiDict[str]
    bill: Bill


class Relay:
    """Answers the requests of one job.

    `session` follows no environment and keeps no cookies; `book` takes what an answer came to and returns at once.
    """

    def __init__(
        self, session: aiohttp.ClientSession, upstreams: Upstreams, token: str, till: Till, book: Callable[[ModelAnswered], None]
    ) -> None:
        self._session = session
        self._upstreams = upstreams
        self._token = token
        self._till = till
        self._book = book
        self._asking = dict.fromkeys(Shape, 0)
        self._held = 0
        self._reading = asyncio.Lock()
        self._run = current()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        began = time.monotonic()
        with part_of(self._run, "model.request") as span:
            response = await self._checked(request)
            if span:
                span.note(status=response.status)
            took_ms = round(1000 * (time.monotonic() - began))
            log.info("model_door.answered", path=request.path[:80], status=response.status, took_ms=took_ms)
        return response

    async def _checked(self, request: web.Request) -> web.StreamResponse:
        path = request.rel_url.raw_path
        speaks = spoken(path, request.headers)
        place = token_in(request.headers, self._token)
        if place is None:
            return refusal(speaks, 401, "authentication_error", "This door takes only the token of its own job.")
        found = offered(request.method, path, self._at_home(speaks))
        if found is None:
            told = "This door leads to /v1/messages, /v1/responses, /v1/chat/completions and /v1/models only."
            return refusal(speaks, 404, "not_found_error", told)
        shape, purpose = found
        upstream = self._upstreams.of(shape)
        if upstream is None:
            told = f"No key for the {shape.named} API is configured here; set {shape.variable}_API_KEY, or use another model."
            return refusal(shape, 403, "permission_error", told)
        headers = outward(request.headers, place if shape is Shape.ANTHROPIC else AUTHORIZATION, upstream.api_key)
        bill = Bill(new_id(), shape, purpose, time.monotonic())
        return await self._bounded(_Passage(request, shape, purpose, upstream, headers, bill))

    def _at_home(self, speaks: Shape) -> Shape:
        """A list of models is asked for alike at both APIs; with one of them configured, it is that one."""
        known = [shape for shape in Shape if self._upstreams.of(shape)]
        return speaks if speaks in known or not known else known[0]

    async def _bounded(self, passage: _Passage) -> web.StreamResponse:
        if (passage.request.content_length or 0) > passage.upstream.request_bytes:
            return _too_large(passage)
        if passage.request.headers.get(hdrs.CONTENT_ENCODING, "").lower() not in _ENCODED:
            return refusal(passage.shape, 415, "invalid_request_error", "This door takes requests without a content encoding.")
        if self._asking[passage.shape] >= passage.upstream.at_once:
            told = f"This job already asks {passage.upstream.at_once} things at once."
            return refusal(passage.shape, 429, "rate_limit_error", told)
        self._asking[passage.shape] += 1
        try:
            return await self._admitted(passage)
        finally:
            self._asking[passage.shape] -= 1

    async def _admitted(self, passage: _Passage) -> web.StreamResponse:
        if passage.purpose is Purpose.FREE:
            return await self._forward(passage)
        try:
            async with asyncio.timeout(passage.upstream.total_s):
                await self._till.admit()
        except (Exhausted, TimeoutError) as error:
            told = error.message if isinstance(error, DomainError) else "this job's budget is used up, and nobody raised it"
            return refusal(passage.shape, 402, "billing_error", told)
        try:
            return await self._forward(passage)
        finally:
            if fact := passage.bill.fact(self._upstreams.prices, time.monotonic()):
                self._book(fact)

    async def _forward(self, passage: _Passage) -> web.StreamResponse:
        response = web.StreamResponse()
        body = bytearray()
        try:
            async with asyncio.timeout(passage.upstream.total_s):
                return await self._ask(passage, await self._question(passage, body), response)
        except Invalid as error:
            log.warning("model_door.refused", code=error.code)
            return refusal(passage.shape, 400, "invalid_request_error", error.message)
        except _Crowded:
            told = f"The requests of this job that are under way hold {passage.upstream.held_bytes} bytes already."
            return refusal(passage.shape, 429, "rate_limit_error", told)
        except (_TooLong, aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            # The text of the error may quote a header, so only its type is told.
            log.warning("model_door.failed", error=type(error).__name__)
            if response.prepared:
                return _cut(passage.request, response)
            if not isinstance(error, TimeoutError) or isinstance(error, aiohttp.ConnectionTimeoutError):
                passage.bill.unreached()
            return _sorry(passage, error)
        finally:
            self._held -= len(body)

    async def _question(self, passage: _Passage, body: bytearray) -> Question:
        """Whole and judged: what reaches the model is what was looked at. It is gathered in `body`."""
        if passage.request.method != hdrs.METH_POST:
            return Question(b"")
        async for piece in passage.request.content.iter_any():
            body += piece
            self._held += len(piece)
            if len(body) > passage.upstream.request_bytes:
                raise _TooLong
            if self._held > passage.upstream.held_bytes:
                raise _Crowded
        given = (passage.purpose, bytes(body), self._upstreams.tools)
        if len(body) <= LARGE:
            return judged(*given)
        async with self._reading:
            return await asyncio.to_thread(judged, *given)

    async def _ask(self, passage: _Passage, question: Question, response: web.StreamResponse) -> web.StreamResponse:
        request, upstream, headers = passage.request, passage.upstream, passage.headers
        target = upstream.target(request.rel_url.raw_path, request.rel_url.raw_query_string)
        if request.method == hdrs.METH_POST:
            headers[hdrs.CONTENT_TYPE] = "application/json"
            headers[hdrs.CONTENT_LENGTH] = str(len(question.body))
        limits = aiohttp.ClientTimeout(total=upstream.total_s, sock_connect=upstream.connect_s, sock_read=upstream.silence_s)
        body = _pieces(question, passage.bill) if question.body else None
        sent = self._session.request(request.method, target, headers=headers, data=body, allow_redirects=False, timeout=limits)
        async with sent as answer:
            return await _pass_on(passage, answer, response)


async def _pass_on(passage: _Passage, answer: aiohttp.ClientResponse, response: web.StreamResponse) -> web.StreamResponse:
    passage.bill.answered(answer.status, answer.headers.get(hdrs.CONTENT_TYPE, ""))
    if said := _in_our_words(passage.shape, answer.status):
        return said
    response.set_status(answer.status, answer.reason)
    response.headers.extend(inward(answer.headers))
    if hdrs.CONTENT_LENGTH in answer.headers:
        response.content_length = answer.content_length
    await response.prepare(passage.request)
    passed = 0
    async for piece in answer.content.iter_any():
        passed += len(piece)
        if passed > passage.upstream.response_bytes:
            raise _TooLong
        passage.bill.passes(piece, time.monotonic())
        await response.write(piece)
    await response.write_eof()
    return response


async def _pieces(question: Question, bill: Bill) -> AsyncIterator[bytes]:
    bill.asked(len(question.body), question.model)
    for begin in range(0, len(question.body), _PIECE):
        yield question.body[begin : begin + _PIECE]
    bill.sent()


def _in_our_words(shape: Shape, status: int) -> web.Response | None:
    """Answers that are not passed on: a refusal of the key might quote it, and a redirect is not followed."""
    if status in (401, 403):
        kind = "authentication_error" if status == 401 else "permission_error"
        told = f"The model API refused Trunkline's credential ({status})."
        remedy = f"Set {shape.variable}_API_KEY to a key that is valid for {shape.variable}_BASE_URL."
        return refusal(shape, status, kind, f"{told} {remedy}")
    if 300 <= status < 400:
        told = f"The model API answered with a redirect ({status}), which is not followed. Correct {shape.variable}_BASE_URL."
        return refusal(shape, 502, "api_error", told)
    return None


def _sorry(passage: _Passage, error: Exception) -> web.Response:
    if isinstance(error, _TooLong) or isinstance(error.__cause__, _TooLong):
        return _too_large(passage)
    status, kind = (504, "timeout_error") if isinstance(error, TimeoutError) else (502, "api_error")
    told = f"The model API could not be reached ({type(error).__name__}). Check {passage.shape.variable}_BASE_URL and the network."
    return refusal(passage.shape, status, kind, told)


def _too_large(passage: _Passage) -> web.Response:
    return refusal(passage.shape, 413, "request_too_large", f"A request may have {passage.upstream.request_bytes} bytes.")


def _cut(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """A stream that broke must look broken: an orderly end would pass half an answer for a whole one."""
    if request.transport is not None:
        request.transport.abort()
    return response
