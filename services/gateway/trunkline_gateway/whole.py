"""Writes an answer that is whole, and bears the headers that all of ours bear and no others, in one piece.

aiohttp takes a table of headers and ten coroutines for what is one text with a few gaps. Whatever is not as plain as that goes its way.
"""

from __future__ import annotations

from typing import Final, cast

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.helpers import rfc822_formatted_time

from trunkline_gateway.dressing import JSON, VISIT, Visit, dress, left

_BODILESS: Final = frozenset({204, 205, 304})
_ALWAYS: Final = "".join(f"{name}: {value}\r\n" for name, value in JSON.items())


class Whole:
    """As aiohttp's server asks for what it sends."""

    __slots__ = ("_piece", "_request", "status")
    keep_alive: Final = True

    def __init__(self, request: web.Request, status: int, piece: bytes) -> None:
        self._request = request
        self._piece = piece
        self.status = status

    async def prepare(self, request: web.BaseRequest) -> None:
        """Nothing goes ahead of the rest."""

    async def write_eof(self) -> None:
        writer = self._request.writer
        await writer.write(self._piece)
        await writer.drain()


async def sent(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """An answer as it goes out, with the headers that every answer bears."""
    visit = request[VISIT]
    if type(response) is web.Response and response.headers == JSON and _plainly(request, response, visit):
        body = cast(bytes, response.body)
        counted = "".join(f"{name}: {value}\r\n" for name, value in left(await visit.counted.quota())) if visit.counted else ""
        head = (
            f"HTTP/1.1 {response.status} {response.reason}\r\n{_ALWAYS}X-Request-Id: {visit.id}\r\n"
            f"traceparent: {visit.span.traceparent}\r\n{counted}Content-Length: {len(body)}\r\nDate: {rfc822_formatted_time()}\r\n\r\n"
        )
        return cast(web.StreamResponse, Whole(request, response.status, head.encode("ascii") + body))
    await dress(request, response)
    return response


def _plainly(request: web.Request, response: web.Response, visit: Visit) -> bool:
    """Whether there is a body, to be sent to whoever keeps the connection."""
    return (
        response.keep_alive is None
        and request.keep_alive
        and request.version == HttpVersion11
        and request.method != hdrs.METH_HEAD
        and response.status not in _BODILESS
        and type(response.body) is bytes
        and not visit.shows
    )
