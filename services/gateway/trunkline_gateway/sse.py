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
OPENING: Final = b": open\n\n"
BEAT: Final = b": keep-alive\n\n"


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
        pulse = _Pulse(request, self._limits)
        try:
            async with asyncio.timeout(None) as life:
                self._open.add(life)
                await _pump(response, pulse, items, encode)
        except TimeoutError:
            if not life.expired():
                raise
        except DomainError as error:
            # The headers are out: only a cut tells the reader to come back with its last event id.
            log.warning("stream.cut", code=error.code, error=error.message)
            pulse.cut()
        except ConnectionResetError:
            log.debug("stream.left")
        finally:
            pulse.stop()
            self._open.discard(life)
        return response


async def _pump(response: web.StreamResponse, pulse: _Pulse, items: AsyncIterator[Item], encode: Callable[[Item], bytes]) -> None:
    await response.write(OPENING)
    async with aclosing(cast(AsyncGenerator[Item, None], items)) as source:
        async for item in source:
            frame = encode(item)
            if frame:
                pulse.writing()
                await response.write(frame)
                pulse.wrote()


class _Pulse:
    """One timer for one reader: a comment when idle, a cut when a write does not end.

    It writes past aiohttp because a timer cannot await; one frame is one write either way, so the two never mix.
    """

    def __init__(self, request: web.Request, limits: StreamLimits) -> None:
        if request.transport is None:
            raise ConnectionResetError("the reader left before the first byte")
        self._transport = request.transport
        self._transport.set_write_buffer_limits(high=limits.buffer)
        self._beat = b"%x\r\n%b\r\n" % (len(BEAT), BEAT) if request.version >= HttpVersion11 else BEAT
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._wrote_at = self._loop.time()
        self._writing_since: float | None = None
        self._timer = self._loop.call_later(limits.heartbeat, self._tick)

    def writing(self) -> None:
        self._writing_since = self._loop.time()

    def wrote(self) -> None:
        self._writing_since = None
        self._wrote_at = self._loop.time()

    def stop(self) -> None:
        self._timer.cancel()

    def cut(self) -> None:
        self._transport.abort()

    def _tick(self) -> None:
        now = self._loop.time()
        if self._stalled(now):
            log.info("stream.stalled", buffered=self._transport.get_write_buffer_size())
            self.cut()
            return
        if self._writing_since is None and now - self._wrote_at >= self._limits.heartbeat and not self._transport.is_closing():
            self._transport.write(self._beat)
            self._wrote_at = now
        self._timer = self._loop.call_later(self._next(now), self._tick)

    def _next(self, now: float) -> float:
        if self._writing_since is not None:
            return max(self._writing_since + self._limits.stall - now, 0.01)
        return max(self._wrote_at + self._limits.heartbeat - now, 0.01)

    def _stalled(self, now: float) -> bool:
        return self._writing_since is not None and now - self._writing_since >= self._limits.stall
