"""The model door: a unix socket by which one job, and it alone, reaches the model APIs without ever holding a key."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from pathlib import Path

import aiohttp
import structlog
from aiohttp import web

from trunkline.contracts.errors import DomainError
from trunkline.contracts.spend import ModelAnswered
from trunkline_sandbox.adapters.model.keys import DoorKey
from trunkline_sandbox.adapters.model.relay import Relay
from trunkline_sandbox.adapters.model.shapes import Upstreams
from trunkline_sandbox.adapters.model.street import Street
from trunkline_sandbox.ports import Till

log = structlog.get_logger(__name__)

_IDLE_CONNECTION_S = 20.0
_MOST_UNBOOKED = 1024
_BOOKED_WITHIN_S = 5.0


@asynccontextmanager
async def model_session() -> AsyncIterator[aiohttp.ClientSession]:
    """The connections to the model APIs, shared by every door of a service. How long each may take is the upstream's."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_CONNECTION_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        skip_auto_headers=("user-agent", "accept-encoding", "accept", "content-type"),
        read_bufsize=1 << 18,
    ) as session:
        yield session


@asynccontextmanager
async def model_door(
    key: DoorKey, upstreams: Upstreams, session: aiohttp.ClientSession, till: Till, street: Street | None = None
) -> AsyncIterator[None]:
    """The door is open inside the block. It may be opened again at the same place, after a crash too: the agent finds it again.

    Whoever runs sandboxes must show the socket's folder, not the socket: a new door is a new file. With a `street` it is on that too.
    """
    upstreams.check()
    async with asyncio.TaskGroup() as group:
        bookings = _Bookings(till, group)
        relay = Relay(session, upstreams, key.token, till, bookings.book)
        try:
            async with _answering(key, relay, street):
                log.info("model_door.opened")
                yield
        finally:
            await bookings.settled()
            log.info("model_door.closed")


@asynccontextmanager
async def _answering(key: DoorKey, relay: Relay, street: Street | None) -> AsyncIterator[None]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", relay.answer)
    # What is encoded is refused in the shape of the API, and never unpacked.
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0, auto_decompress=False)
    with _listening(key.socket) as listener, street.door(key.token, relay) if street else nullcontext():
        await runner.setup()
        try:
            await web.SockSite(runner, listener, backlog=64).start()
            yield
        finally:
            await runner.cleanup()


class _Bookings:
    """Stores what was booked beside the requests, whoever hangs up meanwhile. Each is begun at once, so that the next request sees it."""

    def __init__(self, till: Till, group: asyncio.TaskGroup) -> None:
        self._till = till
        self._group = group
        self._open = 0
        self._settled = asyncio.Event()
        self._settled.set()

    def book(self, answer: ModelAnswered) -> None:
        if self._open >= _MOST_UNBOOKED:
            log.error("model_door.not_booked", request=answer.request, usd=answer.usd, error="TOO_MANY")
            return
        self._open += 1
        self._settled.clear()
        self._group.create_task(self._store(answer))

    async def settled(self) -> None:
        """Returns when all are stored, or after some seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_BOOKED_WITHIN_S):
                await self._settled.wait()

    async def _store(self, answer: ModelAnswered) -> None:
        try:
            await self._till.spent(answer)
        except DomainError as error:
            log.error("model_door.not_booked", request=answer.request, usd=answer.usd, error=error.code)
        finally:
            self._open -= 1
            if not self._open:
                self._settled.set()


@contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    """A socket bound beside `path` and moved onto it, so that an old one gives way without a moment in which there is none."""
    _make_folder(path)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _bind(listener, folder, path)
        mine = path.stat().st_ino
        try:
            yield listener
        finally:
            _take_down(path, mine)
    finally:
        listener.close()
        os.close(folder)


def _bind(listener: socket.socket, folder: int, path: Path) -> None:
    fresh = path.with_name(f".{os.getpid()}-{folder}")
    with suppress(FileNotFoundError):
        fresh.unlink()
    # Through the descriptor, because a socket's path may have only 107 bytes.
    listener.bind(f"/proc/self/fd/{folder}/{fresh.name}")
    os.chmod(fresh, 0o666)
    fresh.rename(path)


def _take_down(path: Path, mine: int) -> None:
    """Another one may have opened the door anew meanwhile; theirs stays."""
    with suppress(FileNotFoundError):
        if path.stat().st_ino == mine:
            path.unlink()


def place_door(key: DoorKey) -> None:
    """Make the folder that its socket is going to be in, so that it can be shown before the door is open. May be repeated."""
    _make_folder(key.socket)


def _make_folder(socket: Path) -> None:
    """The sandbox's user may pass through it, but not list it; its name is secret."""
    socket.parent.mkdir(parents=True, exist_ok=True)
    socket.parent.chmod(0o711)


def forget_door(key: DoorKey) -> None:
    """Remove what a closed door left on disk, once its sandbox is gone. May be repeated."""
    with suppress(OSError):
        key.socket.parent.rmdir()
