"""The model doors by HTTP, for sandboxes that no socket of this machine reaches: one address, and a job's token says which door."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import structlog
from aiohttp import hdrs, web

from trunkline_sandbox.adapters.model.headers import API_KEY
from trunkline_sandbox.adapters.model.relay import Relay
from trunkline_sandbox.adapters.model.shapes import refusal, spoken

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Street:
    """The doors that are open just now. A token is looked up by its digest, so that no time tells how near a guess was."""

    _doors: dict[bytes, Relay] = field(default_factory=dict)

    @contextmanager
    def door(self, token: str, relay: Relay) -> Iterator[None]:
        """It is open inside the block, unless it is opened anew meanwhile."""
        place = _digest(token)
        self._doors[place] = relay
        try:
            yield
        finally:
            if self._doors.get(place) is relay:
                del self._doors[place]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        relay = self._doors.get(_digest(_token(request)))
        if relay is None:
            told = "This door takes only the token of a job that runs."
            return refusal(spoken(request.rel_url.raw_path, request.headers), 401, "authentication_error", told)
        return await relay.answer(request)


@asynccontextmanager
async def listening(street: Street, host: str, port: int) -> AsyncIterator[int]:
    """The street is reached inside the block; the port, which was chosen where 0 was given. Raises OSError when it is taken."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", street.answer)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0, auto_decompress=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound = int(runner.addresses[0][1])
        log.info("model_door.listens", host=host, port=bound)
        yield bound
    finally:
        await runner.cleanup()


def host_of(url: str) -> str:
    """Whom a sandbox must be let reach to come here."""
    return urlsplit(url).hostname or ""


def _token(request: web.Request) -> str:
    bearer = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")[2].strip()
    return request.headers.get(API_KEY, "") or bearer


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
