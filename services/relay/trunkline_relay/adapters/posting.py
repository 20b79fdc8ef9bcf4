"""POST on connections that aiohttp dials, keeps and reads: what is alike in every request to an address is made once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError, RawResponseMessage
from aiohttp.streams import StreamReader
from yarl import URL

MOST_ADDRESSES: Final = 1024
"""Of which what is alike is remembered, some 2 KB each."""
SWITCHED: Final = 101
_UNBOUND: Final = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
"""Whoever asks has a deadline for all of it."""


class Garbled(aiohttp.ClientError):
    """What came back is no HTTP."""


@dataclass(frozen=True, slots=True)
class _Address:
    dialled: aiohttp.ClientRequest
    """Never sent: by it the connector knows where a connection leads."""
    head: bytes


class Posting:
    """Of one connector. aiohttp's own session makes a request, a response, a writer, a task and a timer for each, which is as much work as
    all the rest of a request."""

    def __init__(self, connector: aiohttp.BaseConnector) -> None:
        self._connector = connector
        self._address = lru_cache(MOST_ADDRESSES)(_address)

    async def open(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[Connection, RawResponseMessage, StreamReader]:
        """The connection, to be closed or released, and on it the head of the answer, and its body to be read.

        Raises ClientError, OSError, ValueError.
        """
        address = self._address(url)
        request = b"%b%bContent-Length: %d\r\n\r\n%b" % (address.head, _lines(headers), len(body), body)
        connection = await self._connector.connect(address.dialled, [], _UNBOUND)
        try:
            return connection, *await _asked(connection, request)
        except BaseException:
            connection.close()
            raise


async def _asked(connection: Connection, request: bytes) -> tuple[RawResponseMessage, StreamReader]:
    protocol = connection.protocol
    if protocol is None or protocol.transport is None:
        raise aiohttp.ServerDisconnectedError
    if len(protocol):  # it said something that nobody had asked for
        raise aiohttp.ServerDisconnectedError
    protocol.set_response_params(read_until_eof=True, auto_decompress=False)  # 64 KiB are 64 KiB
    protocol.transport.write(request)
    try:
        while True:
            message, content = await protocol.read()
            if message.code >= 200 or message.code == SWITCHED:
                return message, content
    except HttpProcessingError as error:
        raise Garbled(error.message) from error


def _lines(headers: Mapping[str, str]) -> bytes:
    """Raises ValueError for what would be another line."""
    lines = "".join([f"{name}: {text}\r\n" for name, text in headers.items()])
    if lines.count("\r") != len(headers) or lines.count("\n") != len(headers):
        raise ValueError("a header of more than one line")
    return lines.encode()


def _address(url: str) -> _Address:
    dialled = aiohttp.ClientRequest("POST", URL(url), loop=asyncio.get_running_loop())
    head = f"POST {dialled.url.raw_path_qs} HTTP/1.1\r\nHost: {dialled.headers['Host']}\r\nAccept: */*\r\n"
    return _Address(dialled, head.encode())
