"""One call to GitHub's API: with a deadline, bounded, never sent elsewhere, and every way to fail told as one of our errors."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TypeVar

import aiohttp
import structlog
from pydantic import JsonValue, TypeAdapter, ValidationError
from yarl import URL

from trunkline.contracts.errors import DomainError, Unavailable
from trunkline.github.failures import Reply, exhausted, failure, wait_told
from trunkline.github.pacing import Pace
from trunkline.telemetry.traces import child

log = structlog.get_logger(__name__)
T = TypeVar("T")

_LONGEST = 8 << 20
_MOVED = (301, 302, 307, 308)
_KEPT = (307, 308)
"""Nothing was done, and the same is to be asked there."""
_HOPS = 3
_ACCEPT = "application/vnd.github+json"
_HEADERS = {"x-github-api-version": "2022-11-28", "user-agent": "trunkline"}
NOT_SENT = "not_sent"
"""It is certain that nothing came of the call, for it never got there."""
SILENT = "silent"
"""It got there, and no answer came in time."""
CUT = "cut"
"""It may have got there."""


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose account a call is made. `key` names its limits and holds no secret."""

    key: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Wish:
    """A call to be made. `doing` ends the sentence `GitHub could not …`."""

    method: str
    path: str
    doing: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, JsonValue] | None = None
    paced: bool = True
    """A change counts against the pace; asking for a token is none."""
    accept: str = _ACCEPT


class Calls:
    """Calls below one address, within one pace."""

    def __init__(self, session: aiohttp.ClientSession, api: URL, pace: Pace, now: Callable[[], float] = time.time) -> None:
        self._session = session
        self._api = api
        self._pace = pace
        self._now = now

    async def send(self, wish: Wish, caller: Caller, kind: type[T]) -> T:
        """The answer, read as a `kind`. Raises Unauthenticated, Denied, NotFound, Conflict, Invalid, Exhausted, Unavailable."""
        self._pace.check(caller.key)
        changes = wish.method != "GET" and wish.paced
        async with self._pace.change(caller.key) if changes else nullcontext():
            with child("github.call", method=wish.method) as span:
                reply = await self._reply(wish, caller)
                if span:
                    span.note(status=reply.status)
        if reply.status >= 300:
            raise self._refused(reply, wish, caller)
        self._pace.welcome(caller.key)
        return _read(reply, kind)

    def _refused(self, reply: Reply, wish: Wish, caller: Caller) -> DomainError:
        wait = wait_told(reply, self._now())
        if wait is not None:
            told = "retry-after" in reply.headers or reply.headers.get("x-ratelimit-remaining") == "0"
            wait = self._pace.hold(caller.key, wait, told=told)
            log.warning("forge.limited", status=reply.status, wait_s=round(wait, 1))
        return failure(reply, wish.doing, self._now()) if wait is None else exhausted(wait, reply.status)

    async def _reply(self, wish: Wish, caller: Caller) -> Reply:
        url = URL(f"{self._api}{wish.path}").with_query(wish.query)
        try:
            reply = await self._once(wish, caller, url)
            for _ in range(_HOPS):
                onward = self._onward(wish, url, reply)
                if onward is None:
                    break
                url, reply = onward, await self._once(wish, caller, onward)
            return reply
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            # Its name only: the text of some holds what was sent.
            text = f"GitHub could not {wish.doing}: no whole answer came ({type(error).__name__}). Try again later."
            raise Unavailable(text, code="FORGE_UNAVAILABLE", how=_how(error)) from None

    async def _once(self, wish: Wish, caller: Caller, url: URL) -> Reply:
        headers = {**_HEADERS, "accept": wish.accept, "authorization": f"Bearer {caller.token}"}
        body = None if wish.body is None else dict(wish.body)
        async with self._session.request(wish.method, url, headers=headers, json=body, allow_redirects=False) as answer:
            text = await answer.content.read(_LONGEST + 1)
            while len(text) <= _LONGEST and (more := await answer.content.read(_LONGEST + 1 - len(text))):
                text += more
            return Reply(answer.status, {name.lower(): value for name, value in answer.headers.items()}, text[:_LONGEST])

    def _onward(self, wish: Wish, url: URL, reply: Reply) -> URL | None:
        """Where a renamed repository is now; never at another host, which would learn the credential."""
        if reply.status not in (_MOVED if wish.method == "GET" else _KEPT):
            return None
        target = url.join(URL(reply.headers.get("location", "")))
        return target if target.origin() == self._api.origin() else None


@asynccontextmanager
async def connections(call_s: float) -> AsyncIterator[aiohttp.ClientSession]:
    """Connections to GitHub, closed after the block; a call takes `call_s` seconds at most."""
    timeout = aiohttp.ClientTimeout(total=call_s, connect=min(10.0, call_s))
    connector = aiohttp.TCPConnector(limit=64, keepalive_timeout=20.0)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=jar, trust_env=False) as session:
        yield session


def _how(error: Exception) -> str:
    """How far the call came."""
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | aiohttp.InvalidURL):
        return NOT_SENT
    return SILENT if isinstance(error, TimeoutError) else CUT


def _read(reply: Reply, kind: type[T]) -> T:
    try:
        return TypeAdapter(kind).validate_json(reply.body or b"{}")
    except ValidationError:
        text = "GitHub's answer is not what it should be; check GITHUB_API_URL, and whether a proxy answers in its place."
        raise Unavailable(text, code="FORGE_UNINTELLIGIBLE") from None
