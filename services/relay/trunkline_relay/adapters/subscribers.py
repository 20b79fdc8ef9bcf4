"""Telling subscribers over HTTP: each connection is judged by the address it goes to, and nothing that comes back is trusted."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, cast

import aiohttp
from aiohttp.abc import AbstractResolver

from trunkline.contracts.webhook import LONGEST_ANSWER, Answered
from trunkline.runtime.clock import now
from trunkline_relay.adapters.names import Resolver
from trunkline_relay.adapters.posting import Garbled, Posting
from trunkline_relay.model.addresses import Reach, refusal
from trunkline_relay.model.trying import Attempt
from trunkline_relay.model.urls import secure

IDLE: Final = 4.0
"""Seconds a connection is kept for the next request: less than most servers do."""
MOST_HEADERS: Final = 40
LONGEST_HEADER: Final = 500
_SECRET_HEADERS: Final = frozenset({"set-cookie", "authorization", "proxy-authorization"})
_BROKEN: Final = (errno.ECONNRESET, errno.EPIPE)


class Refused(OSError):
    """The address of a peer is one that may not be told."""


class HttpSubscribers:
    """ports.Subscribers."""

    def __init__(self, plain: Posting, safe: Posting, within_s: float) -> None:
        """`within_s` is for one request, the answer included."""
        self._plain = plain
        self._safe = safe
        self._within_s = within_s

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Attempt:
        at, began = now(), time.monotonic()
        try:
            async with asyncio.timeout(self._within_s):
                answer = await self._answer(url, headers, body)
        except Refused as error:
            return _lost(at, began, f"it may not be told: {error}", unreachable=False)
        except TimeoutError:
            return _lost(at, began, f"no answer within {self._within_s:g} seconds")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _lost(at, began, _in_words(error), unreachable=_inner(error) is None)
        return Attempt(at, _ms(began), answer)

    async def _answer(self, url: str, headers: Mapping[str, str], body: bytes) -> Answered:
        try:
            return await self._once(url, headers, body)
        except (aiohttp.ClientError, OSError) as error:
            if not _lost_on_the_way(error):
                raise
            return await self._once(url, headers, body)

    async def _once(self, url: str, headers: Mapping[str, str], body: bytes) -> Answered:
        connection, head, content = await (self._safe if secure(url) else self._plain).open(url, headers, body)
        try:
            told, cut = await _told(content)
        except BaseException:
            connection.close()
            raise
        if cut:
            connection.close()
        else:
            connection.release()
        return Answered(status=head.code, headers=_headers(head.headers), body=told.decode("utf-8", "replace"), cut=cut)


@asynccontextmanager
async def subscribers(reach: Reach, within_s: float) -> AsyncIterator[HttpSubscribers]:
    async with _connector(reach, safe=False) as plain, _connector(reach, safe=True) as safe:
        yield HttpSubscribers(Posting(plain), Posting(safe), within_s)


def _connector(reach: Reach, *, safe: bool) -> aiohttp.TCPConnector:
    def judged(info: Any) -> socket.socket:
        """A socket for this address, if it may be told: asked when it is connected to, so that a name cannot mean another one later."""
        family, kind, proto, _, peer = info
        why = refusal(str(peer[0]), int(peer[1]), secure=safe, reach=reach)
        if why:
            raise Refused(why)
        return socket.socket(family, kind, proto)

    return aiohttp.TCPConnector(
        resolver=cast(AbstractResolver, Resolver()),
        use_dns_cache=False,
        limit=0,
        keepalive_timeout=IDLE,
        socket_factory=judged,
        ssl=True,  # aiohttp's own context, which has read every authority of the machine already
    )


async def _told(content: aiohttp.StreamReader) -> tuple[bytes, bool]:
    """What the body begins with, and whether it goes on."""
    told = bytearray(await content.readany())
    while not content.at_eof() and len(told) <= LONGEST_ANSWER:
        told += await content.readany()
    return bytes(told[:LONGEST_ANSWER]), len(told) > LONGEST_ANSWER


def _headers(came: Mapping[str, str]) -> dict[str, str]:
    kept = [(name.lower(), text) for name, text in came.items() if name.lower() not in _SECRET_HEADERS]
    return {name[:100]: _readable(text)[:LONGEST_HEADER] for name, text in kept[:MOST_HEADERS]}


def _readable(text: str) -> str:
    """Without the halves of characters that stand for bytes of no text: nobody could write them down."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _lost_on_the_way(error: BaseException) -> bool:
    """Most often a kept connection that the other side closed at that moment; the same id makes a repeat harmless."""
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return True
    return isinstance(error, OSError) and error.errno in _BROKEN and not isinstance(error, aiohttp.ClientConnectorError)


def _inner(error: BaseException) -> Refused | None:
    """The refusal that a client error was made of."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, Refused):
            return found
        found = getattr(found, "os_error", None) or found.__cause__
    return None


def _in_words(error: BaseException) -> str:
    refused = _inner(error)
    if refused:
        return f"it may not be told: {refused}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name cannot be resolved"
    if isinstance(error, (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError)):
        return "its certificate is not trusted, or TLS failed"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "it cannot be connected to"
    if isinstance(error, Garbled):
        return "what it answered is no HTTP"
    return f"the connection broke ({type(error).__name__})"


def _lost(at: datetime, began: float, why: str, *, unreachable: bool = True) -> Attempt:
    return Attempt(at, _ms(began), None, why, unreachable)


def _ms(began: float) -> int:
    return int((time.monotonic() - began) * 1000)
