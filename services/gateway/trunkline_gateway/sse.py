"""Streams events to readers: first byte at once, alive while idle, cut when stalled, closed cleanly on a stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, TypeVar, cast

import structlog
from aiohttp import HttpVersion11, web

from trunkline.contracts.errors import DomainError, Unavailable

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
LOOKED: Final = 1.0
"""Seconds for which a credential that stood is believed to stand."""
BURST: Final = 64 << 10
"""Bytes that are gathered at most before they are written."""


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Times in seconds, `buffer` in bytes per reader."""

    heartbeat: float = 15.0
    stall: float = 30.0
    buffer: int = 256 << 10
    readers: int = 10_000


class Streams:
    """Every open stream of this process."""

    def __init__(self, limits: StreamLimits) -> None:
        self._limits = limits
        self._open: set[asyncio.Timeout] = set()
        self._ended = False

    def __len__(self) -> int:
        return len(self._open)

    @property
    def taking(self) -> bool:
        """Whether a stream may still be opened."""
        return not self._ended

    def end(self) -> None:
        """Close every stream cleanly and take no more; readers are told nothing, for nothing happened to their task."""
        self._ended = True
        now = asyncio.get_running_loop().time()
        for life in self._open:
            life.reschedule(now)

    async def send(self, request: web.Request, items: AsyncIterator[Item], encode: Callable[[Item], bytes]) -> web.StreamResponse:
        """Each item as encoded (nothing for b""), until `items` ends or the reader goes. Raises Unavailable when full."""
        if self._ended or len(self._open) >= self._limits.readers:
            raise Unavailable("no further stream can be opened here now; try again in a moment")
        response = web.StreamResponse(headers=HEADERS)
        await response.prepare(request)
        line = _Line(request, response, self._limits)
        try:
            async with asyncio.timeout(None) as life:
                self._open.add(life)
                await _pump(line, items, encode)
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
            line.stop()
            self._open.discard(life)
        return response


async def _pump(line: _Line, items: AsyncIterator[Item], encode: Callable[[Item], bytes]) -> None:
    await line.send(OPENING)
    async with aclosing(cast(AsyncGenerator[Item, None], items)) as source:
        async for item in source:
            if frame := encode(item):
                await line.send(frame)
    line.flush()


class _Line:
    """The way to one reader: frames of one turn of the loop in one write, a comment when idle, a cut when nothing is taken.

    A reader that keeps up is written to past aiohttp, for a timer and a callback cannot await; one that lags is awaited.
    """

    def __init__(self, request: web.Request, response: web.StreamResponse, limits: StreamLimits) -> None:
        if request.transport is None:
            raise ConnectionResetError("the reader left before the first byte")
        self._transport = request.transport
        self._transport.set_write_buffer_limits(high=limits.buffer)
        self._response = response
        self._chunked = request.version >= HttpVersion11
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._pending: list[bytes] = []
        self._size = 0
        self._stands = cast("Callable[[], bool] | None", request.get(STANDS))
        self._looked_at = self._wrote_at = self._loop.time()
        self._writing_since: float | None = None
        self._timer = self._loop.call_later(limits.heartbeat, self._tick)

    async def send(self, frame: bytes) -> None:
        """Raises ConnectionResetError when the reader is gone."""
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
        if self._pending and self._writing_since is None:
            self._put(self._taken())

    def stop(self) -> None:
        self._timer.cancel()

    def cut(self) -> None:
        self._transport.abort()

    def _revoked(self) -> bool:
        """Cuts a reader whose credential has ended: it comes back with its last event id, and is refused."""
        now = self._loop.time()
        if self._stands is None or now - self._looked_at < LOOKED:
            return False
        self._looked_at = now
        if self._stands():
            return False
        log.info("stream.revoked")
        self.cut()
        return True

    async def _write(self) -> None:
        self._writing_since = self._loop.time()
        await self._response.write(self._taken())
        await asyncio.sleep(0)  # a long history must not keep the others waiting
        self._writing_since = None
        self._wrote_at = self._loop.time()

    def _taken(self) -> bytes:
        joined = b"".join(self._pending)
        self._pending.clear()
        self._size = 0
        return joined

    def _put(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
            self._wrote_at = self._loop.time()

    def _tick(self) -> None:
        now = self._loop.time()
        if self._revoked():
            return
        if self._writing_since is None:
            if now - self._wrote_at >= self._limits.heartbeat:
                self._put(BEAT)
            due = self._wrote_at + self._limits.heartbeat
        else:
            due = self._writing_since + self._limits.stall
            if now >= due:
                log.info("stream.stalled", buffered=self._transport.get_write_buffer_size())
                self.cut()
                return
        self._timer = self._loop.call_later(max(due - now, 0.01), self._tick)
