"""Streams events to readers: first byte at once, alive while idle, cut when stalled, closed cleanly on a stop."""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final, Protocol, TypeVar, cast

import structlog
from aiohttp import HttpVersion11, web

from trunkline.contracts.errors import DomainError, Unavailable
from trunkline_gateway.broadcast import Burst, Line
from trunkline_gateway.dressing import dress

log = structlog.get_logger()

Item = TypeVar("Item")

HEADERS: Final = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx would hold events back
}
STANDS: Final = web.RequestKey("stands", object)
"""On every request for a stream: a function that says whether its credential still stands, for a stream outlives revocations."""
OPENING: Final = b": open\n\n"
BEAT: Final = b": keep-alive\n\n"
NO_ROOM: Final = "NO_ROOM"
LOOKED: Final = 1.0
"""Seconds for which a credential that stood is believed to stand while its reader is written to."""
SWEEPS: Final = 8
"""Looks at every stream in one heartbeat: so much later at most than meant comes a word, or a cut."""
TURN: Final = 250
"""Streams that are looked at before others get a turn: to look at a credential may be to check a signature."""
BURST: Final = 64 << 10
"""Bytes that are gathered at most before they are written."""


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Times in seconds, `buffer` in bytes per reader."""

    heartbeat: float = 15.0
    stall: float = 30.0
    buffer: int = 256 << 10
    readers: int = 10_000


class Leaving:
    """Whether bytes still go out to one reader: not by what lies here, for the kernel takes little from us in large pieces."""

    __slots__ = ("_gone", "_since", "_transport", "_written")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._written = self._gone = 0
        self._since: float | None = None

    def wrote(self, size: int) -> None:
        self._written += size

    def stuck(self, now: float) -> float:
        """Seconds for which bytes have been waiting and none left, as far as anybody has looked; 0 when none wait."""
        waiting = self._transport.get_write_buffer_size()
        if not waiting:
            self._since = None
            return 0.0
        gone = self._written - waiting - _untaken(self._transport)
        if self._since is None or gone > self._gone:
            self._since = now
        self._gone = gone
        return now - self._since


def _untaken(transport: asyncio.Transport) -> int:
    """Bytes that the kernel has of us and the other side has not taken; 0 where it does not say."""
    with suppress(OSError, ValueError):
        return int.from_bytes(fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    return 0


class Others(Protocol):
    """Connections of another kind that are open as streams are."""

    def __len__(self) -> int: ...

    def end(self) -> None: ...


class Streams:
    """Every open stream of this process."""

    def __init__(self, limits: StreamLimits, revocations: Callable[[], int] = lambda: 0) -> None:
        """`revocations`: a number that changes when any credential is revoked."""
        self._limits = limits
        self._revocations, self._known = revocations, revocations()
        self._open: dict[_Line, asyncio.Timeout] = {}
        self._sweep: asyncio.Handle | None = None
        self._ended = False
        self._others: list[Others] = []

    def __len__(self) -> int:
        return len(self._open)

    @property
    def limits(self) -> StreamLimits:
        return self._limits

    @property
    def full(self) -> bool:
        """Whether no further stream may be opened now."""
        return self._ended or len(self._open) + sum(map(len, self._others)) >= self._limits.readers

    @property
    def taking(self) -> bool:
        """Whether a stream may still be opened."""
        return not self._ended

    def beside(self, others: Others) -> None:
        """They count as streams do, and end with them."""
        self._others.append(others)

    def end(self) -> None:
        """Close every stream cleanly and take no more; readers are told nothing, for nothing happened to their task."""
        self._ended = True
        for others in self._others:
            others.end()
        now = asyncio.get_running_loop().time()
        for life in self._open.values():
            life.reschedule(now)

    def send(self, request: web.Request, items: AsyncIterator[Item], encode: Callable[[Item], bytes]) -> Awaitable[web.StreamResponse]:
        """Each item as encoded (nothing for b""), until `items` ends or the reader goes. Raises Unavailable when full."""
        return self.share(request, lambda line: _pump(line, items, encode))

    async def share(self, request: web.Request, carry: Callable[[Line], Awaitable[None]]) -> web.StreamResponse:
        """What `carry` puts on the way to the reader, until it returns or the reader goes. Raises as `send`."""
        if self.full:
            raise no_room()
        response = web.StreamResponse(headers=HEADERS)
        await dress(request, response)
        await response.prepare(request)
        response.headers.clear()  # they are out, and a kilobyte for each of ten thousand readers
        line = _Line(request, response, self._limits)
        try:
            async with asyncio.timeout(None) as life:
                self._enter(line, life)
                await line.send(OPENING)
                await carry(line)
                line.flush()
        except TimeoutError:
            if not life.expired():
                raise
        except DomainError as error:
            # The headers are out: only a cut tells the reader to come back with its last event id.
            log.warning("stream.cut", code=error.code, error=error.message)
            line.cut()
        except ConnectionResetError:
            log.debug("stream.left")
        finally:
            self._open.pop(line, None)
        return response

    def _enter(self, line: _Line, life: asyncio.Timeout) -> None:
        self._open[line] = life
        if self._ended:  # while the headers went out
            life.reschedule(asyncio.get_running_loop().time())
        self._look_after()

    def _look_after(self) -> None:
        """One timer for all of them: one for each would cost ten thousand readers four megabytes."""
        if self._sweep is None:
            often = min(self._limits.heartbeat, self._limits.stall) / SWEEPS
            self._sweep = asyncio.get_running_loop().call_later(often, self._swept)

    def _swept(self) -> None:
        known, self._known = self._known, self._revocations()
        self._go_on(iter(tuple(self._open)), doubtful=known != self._known)

    def _go_on(self, lines: Iterator[_Line], *, doubtful: bool) -> None:
        """Look at some, then at others when the loop has had a turn."""
        some = tuple(islice(lines, TURN))
        for line in some:
            if line in self._open:
                line.tick(doubtful=doubtful)
        if len(some) == TURN:
            self._sweep = asyncio.get_running_loop().call_soon(partial(self._go_on, lines, doubtful=doubtful))
            return
        self._sweep = None
        if self._open:
            self._look_after()


def no_room() -> Unavailable:
    """Why whoever comes now is refused."""
    return Unavailable("no further stream can be opened here now; try again in a moment", code=NO_ROOM)


async def _pump(line: Line, items: AsyncIterator[Item], encode: Callable[[Item], bytes]) -> None:
    async with aclosing(cast(AsyncGenerator[Item, None], items)) as source:
        async for item in source:
            await line.send(encode(item))


class _Line:
    """The way to one reader: frames of one turn of the loop in one write, a comment when idle, a cut when nothing is taken.

    A reader that keeps up is written to past aiohttp, for a timer and a callback cannot await; one that lags is awaited.
    """

    __slots__ = (
        "_chunked", "_leaving", "_limits", "_looked_at", "_loop", "_pending", "_response", "_size", "_stands", "_transport", "_writing",
        "_wrote_at",
    )  # fmt: skip

    def __init__(self, request: web.Request, response: web.StreamResponse, limits: StreamLimits) -> None:
        if request.transport is None:
            raise ConnectionResetError("the reader left before the first byte")
        self._transport = request.transport
        self._transport.set_write_buffer_limits(high=limits.buffer)
        self._leaving = Leaving(request.transport)
        self._response = response
        self._chunked = request.version >= HttpVersion11
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._pending: list[bytes] = []
        self._size = 0
        self._stands = cast("Callable[[], bool] | None", request.get(STANDS))
        self._looked_at = self._wrote_at = self._loop.time()
        self._writing = False

    async def send(self, frame: bytes) -> None:
        """Nothing for b"". Raises ConnectionResetError when the reader is gone."""
        if not frame:
            return
        if self._transport.is_closing() or self._revoked():
            raise ConnectionResetError("the reader left")
        if not self._pending:
            self._loop.call_soon(self.flush)
        self._pending.append(frame)
        self._size += len(frame)
        if self._size >= BURST or self._transport.get_write_buffer_size():
            await self._write()

    def flush(self) -> None:
        """Write what has come together, unless the reader lags: then the next frame waits for it."""
        if self._pending and not self._writing:
            self._put(self._taken())

    def push(self, burst: Burst) -> bool:
        """To a reader that keeps up, past everything that is made for those who do not. Who has taken all so far keeps up."""
        if not burst.data or self._transport.is_closing() or self._revoked():
            return True
        waiting = self._transport.get_write_buffer_size()
        if self._pending or (waiting and waiting + len(burst.data) > self._limits.buffer):
            return False
        self._wrote(burst.chunk if self._chunked else burst.data)
        return True

    def cut(self) -> None:
        self._transport.abort()

    def _revoked(self, believed: float = LOOKED) -> bool:
        """Cuts a reader whose credential has ended: it comes back with its last event id, and is refused."""
        if self._stands is None or (now := self._loop.time()) - self._looked_at < believed:
            return False
        self._looked_at = now
        if self._stands():
            return False
        log.info("stream.revoked")
        self.cut()
        return True

    async def _write(self) -> None:
        self._writing, data = True, self._taken()
        self._leaving.wrote(len(data))
        await self._response.write(data)
        await asyncio.sleep(0)  # a long history must not keep the others waiting
        self._writing = False
        self._wrote_at = self._loop.time()

    def _taken(self) -> bytes:
        joined = b"".join(self._pending)
        self._pending.clear()
        self._size = 0
        return joined

    def _put(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._wrote(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def _wrote(self, data: bytes) -> None:
        self._transport.write(data)
        self._leaving.wrote(len(data))
        self._wrote_at = self._loop.time()

    def tick(self, *, doubtful: bool) -> None:
        """A word to whoever has heard nothing for long; the end for whoever takes nothing, or (`doubtful`) may have been shut out."""
        now = self._loop.time()
        if self._leaving.stuck(now) >= self._limits.stall:
            log.info("stream.stalled", buffered=self._transport.get_write_buffer_size())
            self.cut()
        elif doubtful and self._revoked(0.0):
            return
        elif not self._writing and now - self._wrote_at >= self._limits.heartbeat and not self._revoked():
            self._put(BEAT)
