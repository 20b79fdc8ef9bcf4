"""Talks HTTP with one gateway: one call with its retries, or one connection of a stream."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Final, TypeVar
from uuid import uuid4

import aiohttp
from pydantic import ValidationError

from trunkline.sdk import errors
from trunkline.sdk.answering import Answer, Lost
from trunkline.sdk.calls import Call, Feed, Request, request
from trunkline.sdk.credentials import Credentials
from trunkline.sdk.reach import Reach
from trunkline.sdk.retrying import Patience, Tried, pause

T = TypeVar("T")
LARGEST: Final = 64 << 20
"""Bytes of an answer."""
CHUNK: Final = 256 << 10


@dataclass(slots=True)
class Wire:
    """Connections are made when they are needed, in the event loop that needs them."""

    reach: Reach
    who: Credentials = field(repr=False)
    patience: Patience
    _session: aiohttp.ClientSession | None = field(default=None, repr=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, repr=False)
    _met: bool = field(default=False, repr=False)
    """Whether anybody ever answered."""

    async def ask(self, call: Call[T]) -> T:
        """The answer, over as many tries as help. Raises TrunklineError."""
        asked = request(call, self.who, uuid4().hex)
        came, waited, tries = await self._once(asked), 0.0, 1
        while (seconds := pause(self.patience, Tried(asked.method, tries, waited, self._met), came, random.random())) is not None:
            await asyncio.sleep(seconds)
            came, waited, tries = await self._once(asked), waited + seconds, tries + 1
        if isinstance(came, Lost):
            raise errors.lost(came, self.reach.url)
        if not came.good:
            raise errors.refused(came, self._where(asked.path))
        try:
            return call.parse(came.body)
        except ValidationError:
            raise errors.unreadable(came, self._where(asked.path)) from None

    async def open(self, feed: Feed[T], seen: str) -> Connection | Answer | Lost:
        """A connection that goes on behind the event `seen`, or why there is none."""
        headers = {**self._headers(), "Accept": "text/event-stream", "Cache-Control": "no-cache", **self.who.headers(feed.surface)}
        if seen:
            headers["Last-Event-ID"] = seen
        patience = aiohttp.ClientTimeout(total=None, sock_connect=self.reach.connect, sock_read=self.reach.silence)
        asked = Request("GET", feed.path, feed.query, headers, None)
        try:
            response = await self._send(asked, patience)
            if response.status == 200 and response.content_type == "text/event-stream":
                return Connection(response)
            return await _answered(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return _lost(error)

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def where(self, feed: Feed[T]) -> str:
        return self._where(feed.path)

    async def _once(self, asked: Request) -> Answer | Lost:
        patience = aiohttp.ClientTimeout(total=self.reach.answer, sock_connect=self.reach.connect)
        try:
            answer = await _answered(await self._send(asked, patience))
            self._met = True
            return answer
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return _lost(error)

    async def _send(self, asked: Request, patience: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        return await self._here().request(
            asked.method,
            self.reach.url + asked.path,
            params=asked.query,
            headers=asked.headers,
            data=asked.body,
            proxy=self.reach.proxy,
            timeout=patience,
            allow_redirects=False,  # a credential goes to nobody whom the gateway names
        )

    def _here(self) -> aiohttp.ClientSession:
        """A session of the running loop: one of a loop that is over cannot be used any more."""
        loop = asyncio.get_running_loop()
        if self._session is None or self._session.closed or self._loop is not loop:
            connector = aiohttp.TCPConnector(limit=0, ssl=self.reach.ssl or True)  # a hundred streams must not keep a call waiting
            self._session = aiohttp.ClientSession(connector=connector, headers=self._headers(), cookie_jar=aiohttp.DummyCookieJar())
            self._loop = loop
        return self._session

    def _headers(self) -> dict[str, str]:
        return {"User-Agent": f"trunkline-python/{_version()}", "Accept-Encoding": "identity"}

    def _where(self, path: str) -> str:
        return f"{self.reach.url}{path}"


@dataclass(slots=True)
class Connection:
    """One connection of a stream."""

    _response: aiohttp.ClientResponse
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    async def read(self) -> bytes | Lost:
        """What came, no bytes where it was closed in order. A cancel loses nothing."""
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return _lost(error)

    def close(self) -> None:
        self._response.close()

    def abandon(self) -> None:
        """Close it from any thread, soon."""
        try:
            self._loop.call_soon_threadsafe(self._response.close)
        except RuntimeError:
            pass  # the loop is over, and its connections with it


async def _answered(response: aiohttp.ClientResponse) -> Answer:
    """All of it. Raises ClientPayloadError for one that breaks off or has no end."""
    async with response:
        gathered = bytearray()
        async for chunk in response.content.iter_chunked(CHUNK):
            gathered += chunk
            if len(gathered) > LARGEST:
                raise aiohttp.ClientPayloadError("the answer has no end")
        return Answer(response.status, _small(response.headers), bytes(gathered))


def _small(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _lost(error: Exception) -> Lost:
    """In words of ours: those of a library may hold what was sent."""
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return Lost("its TLS certificate is not trusted", sent=False)
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            return Lost("the proxy does not let it through", sent=False)
        case aiohttp.ConnectionTimeoutError():
            return Lost("nobody takes the connection", sent=False)
        case aiohttp.ClientConnectorError():
            return Lost("nobody listens there", sent=False)
        case TimeoutError():
            return Lost("it took too long", sent=True)
        case _:
            return Lost("the connection broke", sent=True)


def _version() -> str:
    try:
        return version("trunkline")
    except PackageNotFoundError:
        return "0"
