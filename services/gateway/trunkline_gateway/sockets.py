"""Every open WebSocket of this process: alive while idle, cut when nothing is taken, closed cleanly on a stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from trunkline.contracts.errors import DomainError, Invalid
from trunkline_gateway.broadcast import Burst, Line
from trunkline_gateway.dressing import dress
from trunkline_gateway.sse import Leaving, Streams, no_room

log = structlog.get_logger()

PING_S: Final = 20.0
"""Proxies give up on silence after 30 to 60 s."""
SILENT_S: Final = 70.0
"""Whoever answers no ping for so long is gone."""
CLOSING_S: Final = 1.0
SWEEPS: Final = 12
"""Looks at every socket between two pings: whoever was shut out is gone within two seconds."""
HEARD: Final = 1 << 12
"""Bytes of one message of a client's; they have nothing to say here."""
STANDS_S: Final = 0.25
"""Seconds for which a ticket that stood is believed to stand; to look costs no message."""
CATCHING_UP_S: Final = 0.02

Carry = Callable[[Line], Awaitable["Seated"]]
Play = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Seated:
    """What a reader got a seat at: it fails when nothing more comes, and is left by calling `leave`.

    `play` is what has to be told to it meanwhile, for as long as it listens.
    """

    cut: asyncio.Future[None]
    leave: Callable[[], None]
    play: Play | None = None


@dataclass(frozen=True, slots=True)
class Manners:
    """How a socket is kept. `ping_frame`: text that is sent with every ping, for clients that see no pings."""

    ping_frame: bytes = b""
    ping_s: float = PING_S
    silent_s: float = SILENT_S


def text_frame(data: bytes) -> bytes:
    """A whole text message as a server sends it (RFC 6455)."""
    size = len(data)
    if size < 126:
        return b"\x81" + bytes((size,)) + data
    return (b"\x81\x7e" + size.to_bytes(2) if size < 1 << 16 else b"\x81\x7f" + size.to_bytes(8)) + data


PING: Final = b"\x89\x00"


class Sockets:
    """Counted together with the streams, and ended with them."""

    def __init__(self, streams: Streams, manners: Manners) -> None:
        self._streams = streams
        self._manners = manners
        self._open: dict[_Socket, asyncio.Timeout] = {}
        self._sweep: asyncio.TimerHandle | None = None
        streams.beside(self)

    def __len__(self) -> int:
        return len(self._open)

    def end(self) -> None:
        """Closes every socket; what is told goes on elsewhere."""
        now = asyncio.get_running_loop().time()
        for life in self._open.values():
            life.reschedule(now)

    async def serve(self, request: web.Request, carry: Carry, stands: Callable[[], bool]) -> web.WebSocketResponse:
        """Until the reader goes, or is cut. `stands`: whether its ticket still holds. Raises Invalid, Unavailable."""
        ws = web.WebSocketResponse(timeout=CLOSING_S, autoping=False, compress=False, max_msg_size=HEARD)
        if not ws.can_prepare(request).ok:
            raise Invalid("this is a WebSocket: connect with a WebSocket client", code="NOT_A_WEBSOCKET")
        if self._streams.full:
            raise no_room()
        await dress(request, ws)
        await ws.prepare(request)
        line = _Socket(request, self._streams.limits.buffer, stands)
        code = WSCloseCode.GOING_AWAY
        try:
            async with asyncio.timeout(None) as life:
                self._enter(line, life)
                await _serve(ws, line, carry)
        except TimeoutError:
            if not life.expired():
                raise
        except DomainError as error:
            log.warning("socket.cut", code=error.code, error=error.message)
            code = WSCloseCode.TRY_AGAIN_LATER
        except ConnectionResetError:
            log.debug("socket.left")
        finally:
            self._open.pop(line, None)
        await ws.close(code=code)
        return ws

    def _enter(self, line: _Socket, life: asyncio.Timeout) -> None:
        self._open[line] = life
        if not self._streams.taking:  # while the headers went out
            life.reschedule(asyncio.get_running_loop().time())
        if self._sweep is None:
            self._look_after()

    def _look_after(self) -> None:
        often = min(self._manners.ping_s, self._streams.limits.stall) / SWEEPS
        self._sweep = asyncio.get_running_loop().call_later(often, self._swept)

    def _swept(self) -> None:
        self._sweep = None
        for line in tuple(self._open):
            line.tick(self._manners, self._streams.limits.stall)
        if self._open:
            self._look_after()


async def _serve(ws: web.WebSocketResponse, line: _Socket, carry: Carry) -> None:
    seated = await carry(line)
    seated.cut.add_done_callback(lambda _: line.cut())
    try:
        await (_listen(ws, line) if seated.play is None else _listen_meanwhile(ws, line, seated.cut, seated.play))
    finally:
        seated.leave()


async def _listen(ws: web.WebSocketResponse, line: _Socket) -> None:
    """Until the reader goes."""
    while True:
        match (heard := await ws.receive()).type:
            case WSMsgType.PING:
                await ws.pong(heard.data)
            case WSMsgType.CLOSE | WSMsgType.CLOSING | WSMsgType.CLOSED | WSMsgType.ERROR:
                return
            case _:
                pass
        line.heard()


async def _listen_meanwhile(ws: web.WebSocketResponse, line: _Socket, cut: asyncio.Future[None], play: Play) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            playing = group.create_task(_played(play, cut))
            await _listen(ws, line)
            playing.cancel()
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def _played(play: Play, cut: asyncio.Future[None]) -> None:
    try:
        await play()
    except (DomainError, ConnectionResetError) as error:
        log.info("socket.replay_cut", error=str(error))
        cut.set_exception(error)
        cut.exception()  # whoever has left does not hear of it


class _Socket:
    """The way to one reader. Whole frames are written past aiohttp, which would make a coroutine of each."""

    __slots__ = ("_buffer", "_heard_at", "_leaving", "_looked_at", "_loop", "_pinged_at", "_stands", "_transport")

    def __init__(self, request: web.Request, buffer: int, stands: Callable[[], bool]) -> None:
        if request.transport is None:
            raise ConnectionResetError("the reader left before the first byte")
        self._transport = request.transport
        self._leaving = Leaving(request.transport)
        self._buffer = buffer
        self._stands = stands
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._pinged_at = self._looked_at = self._loop.time()

    async def send(self, frame: bytes) -> None:
        """Waits while the reader lags; the sweep cuts it when it takes nothing at all."""
        while self._transport.get_write_buffer_size() > self._buffer and not self._transport.is_closing():  # noqa: ASYNC110 (see below)
            await asyncio.sleep(CATCHING_UP_S)  # of what is written past aiohttp no event tells
        if self._transport.is_closing() or self._revoked():
            raise ConnectionResetError("the reader left")
        self._write(frame)
        if self._transport.get_write_buffer_size():
            await asyncio.sleep(0)  # a long history must not keep the others waiting

    def flush(self) -> None:
        """Nothing is held back."""

    def push(self, burst: Burst) -> bool:
        if self._transport.is_closing() or self._revoked():
            return True
        waiting = self._transport.get_write_buffer_size()
        if waiting and waiting + len(burst.data) > self._buffer:
            return False
        self._write(burst.data)
        return True

    def _write(self, data: bytes) -> None:
        self._transport.write(data)
        self._leaving.wrote(len(data))

    def heard(self) -> None:
        self._heard_at = self._loop.time()

    def cut(self) -> None:
        self._transport.abort()

    def _revoked(self) -> bool:
        if (now := self._loop.time()) - self._looked_at < STANDS_S:
            return False
        self._looked_at = now
        if self._stands():
            return False
        log.info("socket.revoked")
        self.cut()
        return True

    def tick(self, manners: Manners, stall: float) -> None:
        """A word to everybody now and then; the end for whoever takes nothing, answers nothing, or may hear no more."""
        now = self._loop.time()
        waiting, stuck = self._transport.get_write_buffer_size(), self._leaving.stuck(now)
        if waiting and not stuck:
            self._heard_at = now  # whoever takes is there, and is not pinged meanwhile
        if stuck >= stall or now - self._heard_at >= manners.silent_s:
            log.info("socket.stalled", buffered=waiting)
            self.cut()
        elif not self._revoked() and not waiting and now - self._pinged_at >= manners.ping_s:
            self._pinged_at = now
            self._write(PING + text_frame(manners.ping_frame))
