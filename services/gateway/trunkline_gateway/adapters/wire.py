"""Turns what aiohttp cannot read into a request that is refused, so that one way answers and logs everything that comes.

Left alone, aiohttp answers such a request past every middleware: in plain text, with a piece of the request in it, and with the same
piece in a traceback on stderr. That piece may be a credential. What stands between is put around its parser: only there can an error still
become a message, and then the rest is as for every other request.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, cast

import structlog
from aiohttp import HttpVersion11, StreamReader, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import HttpRequestParser, RawRequestMessage
from aiohttp.http_exceptions import LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from trunkline.contracts.errors import DomainError, Invalid, TooLarge
from trunkline_gateway.adapters.company import Company
from trunkline_gateway.dialect import covers

log = structlog.get_logger()

PATH_LIMIT: Final = 8192
HEADER_LIMIT: Final = 8190
"""Bytes. They differ because nothing else in aiohttp's error tells which of the two was passed."""
URI_TOO_LONG: Final = "URI_TOO_LONG"
HEADERS_TOO_LARGE: Final = "HEADERS_TOO_LARGE"
_FULL: Final = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_NO_METHOD: Final = "-"
"""aiohttp's parser knows every method by name, and this is none."""
_LINE: Final = re.compile(rb"[!-~]{1,32} (/[!->@-~]{0,200})")
_NO_HEADERS: Final = CIMultiDictProxy[str](CIMultiDict())

Read = tuple[Sequence[tuple[RawRequestMessage, StreamReader]], bool, bytes]


class Reader:
    """aiohttp's parser for one connection. `claims` are the path prefixes of the dialects: all that is kept of an unreadable request."""

    __slots__ = ("_again", "_body", "_broken", "_claims", "_company", "_feed", "_parser", "_path", "_waits", "message_consumed")

    def __init__(self, parser: HttpRequestParser, claims: Sequence[str], company: Company, again: Callable[[], None]) -> None:
        """`again` has this asked for what waited."""
        self._parser = parser
        self._company, self._again, self._waits = company, again, b""
        self._feed, self.message_consumed = parser.feed_data, parser.message_consumed  # asked of every request
        self._claims = claims
        self._path = "/"
        self._broken = False
        self._body: StreamReader = EMPTY_PAYLOAD

    def feed_data(self, data: bytes) -> Read:
        """The requests that are whole now. After one that cannot be read, what follows on the connection is dropped."""
        if self._broken:
            return (), False, b""
        if self._waits:
            data, self._waits = self._waits + data, b""
        elif self._company.takes(data, self._again):
            self._waits = data
            return (), False, b""
        try:
            messages, upgraded, tail = self._feed(data)
        except Exception as error:  # whatever it is, its text is the sender's
            self._broken = True
            self._break_off()
            return [(_stand_in(_code(error), self._claimed(self._asked(data))), EMPTY_PAYLOAD)], False, b""
        if not messages:
            if data:  # more of a body, or of a head; with nothing at all aiohttp asks of every request once more
                self._path = self._asked(data)
            return messages, upgraded, tail
        last, self._body = messages[-1]
        self._path = last.path
        return [(self._expected(message), payload) for message, payload in messages], upgraded, tail

    def __getattr__(self, name: str) -> object:
        return getattr(self._parser, name)

    def _asked(self, data: bytes) -> str:
        """The path that is asked for, by what came last of all that says one."""
        line = _LINE.match(data)
        return line[1].decode() if line else self._path.partition("?")[0]

    def _break_off(self) -> None:
        """Whoever still reads the body of the request before would wait in vain."""
        if not self._body.is_eof():
            self._body.set_exception(web.RequestPayloadError("the body cannot be read"))
            self._body.feed_eof()

    def _expected(self, message: RawRequestMessage) -> RawRequestMessage:
        """aiohttp answers an `Expect` that it does not know by itself too, and repeats it.

        It keeps every header twice as long as the request lasts, which for a stream may be days.
        """
        expects = message.headers.get(hdrs.EXPECT)
        if expects is None or expects.lower() == "100-continue":
            return message._replace(raw_headers=())
        return _stand_in("INVALID_REQUEST", self._claimed(message.path.partition("?")[0]))

    def _claimed(self, path: str) -> str:
        return max((claim for claim in self._claims if covers(claim, path)), key=len, default="/")


class Full(asyncio.Protocol):
    """A connection that is one too many. It is told so before it says whom it asks: a process that runs out of files answers nobody."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        way = cast(asyncio.Transport, transport)
        way.write(_FULL)
        way.close()


def connection(server: web.Server, claims: Sequence[str], company: Company, most: int) -> asyncio.Protocol:
    """A connection as aiohttp makes it, with our reader in front of its parser; `most` of them at once."""
    if len(server._connections) >= most:
        return Full()
    made = server()
    again = partial(made.data_received, b"")
    made._parser = Reader(made._parser, claims, company, again)  # type: ignore[assignment, arg-type]  # has what a parser has
    return made


def refusal(request: web.BaseRequest) -> DomainError | None:
    """Why this stands for a request that could not be read; nothing when it is one that could."""
    if request.method != _NO_METHOD:
        return None
    return _refusal(request.raw_headers[0][1].decode())


def server(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.Server:
    """aiohttp's server without its applications: a path is looked up, and a request seen to, by ourselves."""
    loop = asyncio.get_running_loop()

    def asked(
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.Request:
        return web.Request(message, payload, protocol, writer, task, loop)

    return web.Server(
        cast(Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], answer),
        request_factory=asked,
        loop=loop,
        logger=quiet_logger(),
        access_log=None,
        handler_cancellation=True,
        auto_decompress=False,
        max_line_size=PATH_LIMIT,
        max_field_size=HEADER_LIMIT,
    )


def quiet_logger() -> logging.Logger:
    """For aiohttp's server: one JSON line that says what broke and where, without the error's text, which may hold the sender's."""
    logger = logging.getLogger("trunkline_gateway.http")
    logger.setLevel(logging.WARNING)
    logger.addFilter(_told)
    return logger


def _told(record: logging.LogRecord) -> bool:
    """Says the record our way and keeps it from logging's own."""
    error = record.exc_info[1] if record.exc_info else None
    trace = error.__traceback__ if error else None
    while trace and trace.tb_next:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else f"{record.funcName}:{record.lineno}"
    say = log.info if isinstance(error, web.RequestPayloadError) else log.error  # the sender's fault, or a defect
    say("http.connection_broken", error=type(error).__name__ if error else record.levelname, where=where)
    return False


def _code(error: Exception) -> str:
    if isinstance(error, LineTooLong):
        return URI_TOO_LONG if PATH_LIMIT in error.args else HEADERS_TOO_LARGE
    return HEADERS_TOO_LARGE if "Too many headers" in str(error) else "INVALID_REQUEST"


def _refusal(code: str) -> DomainError:
    if code == URI_TOO_LONG:
        return TooLarge(f"the path is longer than {PATH_LIMIT} bytes", code=URI_TOO_LONG, limit=PATH_LIMIT)
    if code == HEADERS_TOO_LARGE:
        message = f"a header is larger than {HEADER_LIMIT} bytes, or there are too many of them; send fewer and smaller ones"
        return TooLarge(message, code=HEADERS_TOO_LARGE, limit=HEADER_LIMIT)
    return Invalid("this cannot be read as HTTP; check its first line, its headers and its Content-Length", code="INVALID_REQUEST")


def _stand_in(code: str, path: str) -> RawRequestMessage:
    """A request that says nothing but why the real one is refused, and that its connection ends."""
    told = ((b"", code.encode()),)
    return RawRequestMessage(_NO_METHOD, path, HttpVersion11, _NO_HEADERS, told, True, None, False, False, URL.build(path=path))
