"""What happens to one request at the model door: checked, given the real key, streamed to the model API and back."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import aiohttp
import structlog
from aiohttp import hdrs, web
from yarl import URL

from trunkline_sandbox.adapters.door_headers import inward, outward

log = structlog.get_logger(__name__)

_OFFERED = re.compile(r"\A(?:POST /v1/messages|POST /v1/messages/count_tokens|GET /v1/models(?:/[A-Za-z0-9._:@-]{1,128})?)\Z")
"""What an agent needs of the API. Files, batches and the rest of it would let a job spend or keep things beyond its end."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """The model API behind the doors. Sizes in bytes, times in seconds."""

    api_key: str = field(repr=False)
    base_url: str = "https://api.anthropic.com"
    connect_s: float = 15.0
    silence_s: float = 300.0
    """The longest wait for the next byte; the API sends pings while it thinks."""
    total_s: float = 1800.0
    request_bytes: int = 32 << 20
    """The limit of the model API itself."""
    response_bytes: int = 256 << 20
    at_once: int = 16
    """Requests of one job at the same time; sub-agents ask side by side."""


class _TooLong(Exception):
    """A body passed its bound."""


class Relay:
    """Answers the requests of one job. `session` follows no environment and keeps no cookies."""

    def __init__(self, session: aiohttp.ClientSession, upstream: Upstream, token: str) -> None:
        self._session = session
        self._upstream = upstream
        self._token = token
        self._free = upstream.at_once

    async def answer(self, request: web.Request) -> web.StreamResponse:
        began = time.monotonic()
        response = await self._admit(request)
        took_ms = round(1000 * (time.monotonic() - began))
        log.info("model_door.answered", path=request.path[:80], status=response.status, took_ms=took_ms)
        return response

    async def _admit(self, request: web.Request) -> web.StreamResponse:
        headers = outward(request.headers, self._token, self._upstream.api_key)
        if headers is None:
            return refusal(401, "authentication_error", "This door takes only the token of its own job.")
        if not _OFFERED.match(f"{request.method} {request.rel_url.raw_path}"):
            return refusal(404, "not_found_error", "This door leads to /v1/messages and /v1/models only.")
        if (request.content_length or 0) > self._upstream.request_bytes:
            return _too_large(self._upstream)
        if self._free <= 0:
            return refusal(429, "rate_limit_error", f"This job already asks {self._upstream.at_once} things at once.")
        self._free -= 1
        try:
            return await self._forward(request, headers)
        finally:
            self._free += 1

    async def _forward(self, request: web.Request, headers: Mapping[str, str]) -> web.StreamResponse:
        response = web.StreamResponse()
        try:
            async with asyncio.timeout(self._upstream.total_s), self._ask(request, headers) as answer:
                return await self._pass_on(request, answer, response)
        except (_TooLong, aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            # The text of the error may quote a header, so only its type is told.
            log.warning("model_door.failed", error=type(error).__name__)
            return _cut(request, response) if response.prepared else self._sorry(error)

    def _ask(self, request: web.Request, headers: Mapping[str, str]) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        query = request.rel_url.raw_query_string
        target = self._upstream.base_url.rstrip("/") + request.rel_url.raw_path + (f"?{query}" if query else "")
        body = _bounded(request, self._upstream.request_bytes) if request.can_read_body else None
        return self._session.request(request.method, URL(target, encoded=True), headers=headers, data=body, allow_redirects=False)

    def _sorry(self, error: Exception) -> web.Response:
        if isinstance(error, _TooLong) or isinstance(error.__cause__, _TooLong):
            return _too_large(self._upstream)
        return _unreachable(error)

    async def _pass_on(self, request: web.Request, answer: aiohttp.ClientResponse, response: web.StreamResponse) -> web.StreamResponse:
        if said := _in_our_words(answer.status):
            return said
        response.set_status(answer.status, answer.reason)
        response.headers.extend(inward(answer.headers))
        if hdrs.CONTENT_LENGTH in answer.headers:
            response.content_length = answer.content_length
        await response.prepare(request)
        passed = 0
        async for piece in answer.content.iter_any():
            passed += len(piece)
            if passed > self._upstream.response_bytes:
                raise _TooLong
            await response.write(piece)
        await response.write_eof()
        return response


async def _bounded(request: web.Request, most: int) -> AsyncIterator[bytes]:
    passed = 0
    async for piece in request.content.iter_any():
        passed += len(piece)
        if passed > most:
            raise _TooLong
        yield piece


def _in_our_words(status: int) -> web.Response | None:
    """Answers that are not passed on: a refusal of the key might quote it, and a redirect is not followed."""
    if status in (401, 403):
        kind = "authentication_error" if status == 401 else "permission_error"
        told = f"The model API refused Trunkline's credential ({status})."
        response = refusal(status, kind, f"{told} Set ANTHROPIC_API_KEY to a key that is valid for ANTHROPIC_BASE_URL.")
        # Else the agent asks again for minutes, though the answer will not change.
        response.headers["x-should-retry"] = "false"
        return response
    if 300 <= status < 400:
        told = f"The model API answered with a redirect ({status}), which is not followed. Correct ANTHROPIC_BASE_URL."
        return refusal(502, "api_error", told)
    return None


def refusal(status: int, kind: str, told: str) -> web.Response:
    """An error in the shape of the model API."""
    return web.json_response({"type": "error", "error": {"type": kind, "message": told}}, status=status)


def _too_large(upstream: Upstream) -> web.Response:
    return refusal(413, "request_too_large", f"A request may have {upstream.request_bytes} bytes.")


def _unreachable(error: Exception) -> web.Response:
    status, kind = (504, "timeout_error") if isinstance(error, TimeoutError) else (502, "api_error")
    return refusal(status, kind, f"The model API could not be reached ({type(error).__name__}). Check ANTHROPIC_BASE_URL and the network.")


def _cut(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """A stream that broke must look broken: an orderly end would pass half an answer for a whole one."""
    if request.transport is not None:
        request.transport.abort()
    return response
