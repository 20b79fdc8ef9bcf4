"""Two questions to GitHub's API, each bounded in size and time; every way to fail is told as one of our errors."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, NoReturn

import aiohttp
import structlog
from pydantic import JsonValue, SecretStr
from yarl import URL

from trunkline.contracts.errors import DomainError, Invalid, NotFound, Unauthenticated, Unavailable
from trunkline_gateway.ports import Person
from trunkline_gateway.usecases.flights import AT_ONCE, DEADLINE_S
from trunkline_gateway.usecases.repositories import MISSING

log = structlog.get_logger()

LONGEST: Final = 256 << 10
"""Bytes: what GitHub says of a repository is a tenth of it."""
AWAY_S: Final = 5
LOCKED_S: Final = 60
LONGEST_WAIT_S: Final = 3600
_HEADERS: Final = {"accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28", "user-agent": "trunkline"}
_MOVED: Final = (301, 302, 307, 308)
_LOGIN: Final = re.compile(r"[A-Za-z0-9_-]{1,100}(?:\[bot\])?")
_LARGEST: Final = 2**53


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: Mapping[str, str]
    body: dict[str, JsonValue]


class GitHubHub:
    """ports.Hub by GitHub's API at `api`. `lookup`: our own token, for repositories that somebody without a token asks about."""

    def __init__(self, session: aiohttp.ClientSession, api: URL, lookup: SecretStr) -> None:
        self._session = session
        self._api = api
        self._lookup = lookup.get_secret_value()

    async def person(self, token: SecretStr) -> Person:
        reply = await self._reply(URL(f"{self._api}/user"), token.get_secret_value())
        if reply.status in (401, 403):
            _check_limits(reply)
            raise Unauthenticated(_NOT_TAKEN if reply.status == 401 else _NOBODYS, code="AUTH_REQUIRED")
        number, login = reply.body.get("id"), reply.body.get("login")
        if reply.status != 200:
            _fail(reply)
        if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < _LARGEST:
            _unintelligible()
        return Person(number, login if isinstance(login, str) and _LOGIN.fullmatch(login) else "")

    async def private(self, repo: str, token: SecretStr | None) -> bool:
        shown = token.get_secret_value() if token else self._lookup
        url = URL(f"{self._api}/repos/{repo}")
        reply = await self._reply(url, shown)
        if onward := self._onward(url, reply):
            reply = await self._reply(onward, shown)
        if reply.status == 401:
            _not_taken(token)
        if reply.status in (403, 404, 451):
            _check_limits(reply)
            raise NotFound(MISSING, code="REPO_NOT_FOUND")
        private = reply.body.get("private")
        if reply.status != 200:
            _fail(reply)
        return private if isinstance(private, bool) else _unintelligible()

    def _onward(self, url: URL, reply: _Reply) -> URL | None:
        """Where a renamed repository is now; never at another host, which would learn the token."""
        if reply.status not in _MOVED:
            return None
        target = url.join(URL(reply.headers.get("location", "")))
        return target if target.origin() == self._api.origin() else None

    async def _reply(self, url: URL, token: str) -> _Reply:
        headers = {**_HEADERS, "authorization": f"Bearer {token}"} if token else _HEADERS
        try:
            async with self._session.get(url, headers=headers, allow_redirects=False) as answer:
                return _Reply(answer.status, {name.lower(): value for name, value in answer.headers.items()}, _object(await _text(answer)))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            # Its name only: the text of some holds what was sent.
            log.warning("github.away", error=type(error).__name__)
            raise _away("GitHub does not answer", AWAY_S) from None


_NOT_TAKEN: Final = "GitHub does not take this token; it may have expired or been revoked. Make a new one, or ask without"
_NOBODYS: Final = "GitHub does not say whose this token is; use one that belongs to a person"


@asynccontextmanager
async def hub(api: str, lookup: SecretStr) -> AsyncIterator[GitHubHub]:
    """Raises Invalid for what is no address of an API."""
    connector = aiohttp.TCPConnector(limit=2 * AT_ONCE)
    timeout = aiohttp.ClientTimeout(total=0.9 * DEADLINE_S)  # that it did not answer is to be learnt before nobody waits any more
    jar = aiohttp.DummyCookieJar()  # what one caller's answer sets must not go with another's question
    address = _api(api)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=jar, trust_env=False) as session:
        yield GitHubHub(session, address, lookup)


def _api(text: str) -> URL:
    try:
        url = URL(text.rstrip("/"))
        fit = url.scheme in ("http", "https") and bool(url.host) and not (url.user or url.query_string or url.fragment)
    except ValueError:
        fit = False
    if not fit:
        raise Invalid("GITHUB_API_URL is not a plain http or https address; correct it or leave it out.", code="FORGE_NOT_CONFIGURED")
    return url


def _check_limits(reply: _Reply) -> None:
    """A 403 may mean that too much was asked, in three ways. Raises Unavailable."""
    said, told = str(reply.body.get("message", "")).lower(), reply.headers
    if reply.status == 403 and "login attempts" in said:
        log.error("github.locked", why="too many tokens that were not valid were shown to GitHub from here")
        raise _away("GitHub takes no tokens from here for a while", LOCKED_S)
    if reply.status == 403 and ("rate limit" in said or told.get("x-ratelimit-remaining") == "0" or "retry-after" in told):
        raise Unavailable("GitHub's own limits are used up; try again later", code="GITHUB_LIMITED", retry_after=_wait(told))


def _wait(told: Mapping[str, str]) -> int:
    after, reset = told.get("retry-after", ""), told.get("x-ratelimit-reset", "")
    wait = int(after) if after.isdecimal() else int(reset) - int(time.time()) if reset.isdecimal() else LOCKED_S
    return min(max(1, wait), LONGEST_WAIT_S)


def _not_taken(token: SecretStr | None) -> NoReturn:
    if token:
        raise Unauthenticated(_NOT_TAKEN, code="AUTH_REQUIRED")
    log.error("github.lookup_refused", why="GitHub does not take our own token for looking at repositories (github_lookup_token)")
    raise _away("GitHub does not let us look at repositories", LOCKED_S)


def _fail(reply: _Reply) -> NoReturn:
    if reply.status == 429:
        raise Unavailable("GitHub's own limits are used up; try again later", code="GITHUB_LIMITED", retry_after=_wait(reply.headers))
    log.warning("github.away", status=reply.status)
    raise _away(f"GitHub answers with {reply.status}", AWAY_S)


def _unintelligible() -> NoReturn:
    log.warning("github.unintelligible")
    raise _away("GitHub's answer is not what it should be", AWAY_S)


def _away(what: str, wait: int) -> DomainError:
    return Unavailable(f"{what}; try again in a moment", code="GITHUB_AWAY", retry_after=wait)


async def _text(answer: aiohttp.ClientResponse) -> bytes:
    text = bytearray()
    async for chunk in answer.content.iter_any():
        text += chunk
        if len(text) > LONGEST:
            _unintelligible()
    return bytes(text)


def _object(text: bytes) -> dict[str, JsonValue]:
    """Nothing for what is no JSON object: where one is needed, its fields are missed."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
