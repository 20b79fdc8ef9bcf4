"""One call to GitHub's API: with a deadline, bounded, never sent elsewhere, and every way to fail told as one of our errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TypeVar

import aiohttp
import structlog
from pydantic import JsonValue, TypeAdapter, ValidationError
from yarl import URL

from trunkline.contracts.errors import DomainError, Unavailable
from trunkline_sandbox.adapters.forges.github.failures import Reply, exhausted, failure, wait_told
from trunkline_sandbox.adapters.forges.github.pacing import Pace

log = structlog.get_logger(__name__)
T = TypeVar("T")

_LONGEST = 8 << 20
_MOVED = (301, 302, 307, 308)
_HOPS = 3
_HEADERS = {"accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28", "user-agent": "trunkline"}


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
            reply = await self._reply(wish, caller)
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
        return failure(reply, wish.doing, self._now()) if wait is None else exhausted(wait)

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
            raise Unavailable(text, code="FORGE_UNAVAILABLE") from None

    async def _once(self, wish: Wish, caller: Caller, url: URL) -> Reply:
        headers = {**_HEADERS, "authorization": f"Bearer {caller.token}"}
        body = None if wish.body is None else dict(wish.body)
        async with self._session.request(wish.method, url, headers=headers, json=body, allow_redirects=False) as answer:
            text = await answer.content.read(_LONGEST + 1)
            while len(text) <= _LONGEST and (more := await answer.content.read(_LONGEST + 1 - len(text))):
                text += more
            return Reply(answer.status, {name.lower(): value for name, value in answer.headers.items()}, text[:_LONGEST])

    def _onward(self, wish: Wish, url: URL, reply: Reply) -> URL | None:
        """Where a renamed repository is now; never at another host, which would learn the credential."""
        if reply.status not in _MOVED or wish.method != "GET":
            return None
        target = url.join(URL(reply.headers.get("location", "")))
        return target if target.origin() == self._api.origin() else None


def _read(reply: Reply, kind: type[T]) -> T:
    try:
        return TypeAdapter(kind).validate_json(reply.body or b"{}")
    except ValidationError:
        text = "GitHub's answer is not what it should be; check GITHUB_API_URL, and whether a proxy answers in its place."
        raise Unavailable(text, code="FORGE_UNINTELLIGIBLE") from None
