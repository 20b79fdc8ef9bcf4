"""The model door: a unix socket by which one job, and it alone, reaches the model API without ever holding the key."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import aiohttp
import structlog
from aiohttp import web
from yarl import URL

from trunkline.contracts.errors import Invalid
from trunkline_sandbox.adapters.door_keys import DoorKey
from trunkline_sandbox.adapters.door_relay import Relay, Upstream

log = structlog.get_logger(__name__)

_IDLE_CONNECTION_S = 20.0


@asynccontextmanager
async def model_session(upstream: Upstream) -> AsyncIterator[aiohttp.ClientSession]:
    """The connections to the model API, shared by every door of a service."""
    timeout = aiohttp.ClientTimeout(total=upstream.total_s, sock_connect=upstream.connect_s, sock_read=upstream.silence_s)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_CONNECTION_S),
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        skip_auto_headers=("user-agent", "accept-encoding", "accept", "content-type"),
        read_bufsize=1 << 18,
    ) as session:
        yield session


@asynccontextmanager
async def model_door(key: DoorKey, upstream: Upstream, session: aiohttp.ClientSession) -> AsyncIterator[None]:
    """The door is open inside the block. It may be opened again at the same place, after a crash too: the agent finds it again.

    Whoever runs sandboxes must show the socket's folder, not the socket: a new door is a new file.
    """
    _check(upstream)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", Relay(session, upstream, key.token).answer)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
    with _listening(key.socket) as listener:
        await runner.setup()
        try:
            await web.SockSite(runner, listener, backlog=64).start()
            log.info("model_door.opened")
            yield
        finally:
            await runner.cleanup()
            log.info("model_door.closed")


def _check(upstream: Upstream) -> None:
    if not upstream.api_key.strip() or not upstream.api_key.isprintable():
        raise Invalid("no key for the model API is configured; set ANTHROPIC_API_KEY", code="MODEL_NOT_CONFIGURED")
    url = URL(upstream.base_url)
    if url.scheme not in ("http", "https") or not url.host or url.user or url.query_string:
        raise Invalid("ANTHROPIC_BASE_URL is not a plain http or https address; correct it or leave it out", code="MODEL_NOT_CONFIGURED")


@contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    """A socket bound beside `path` and moved onto it, so that an old one gives way without a moment in which there is none."""
    # The folder may be passed through by the sandbox's user, but not be listed; its name is secret.
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o711)
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


def forget_door(key: DoorKey) -> None:
    """Remove what a closed door left on disk, once its sandbox is gone. May be repeated."""
    with suppress(OSError):
        key.socket.parent.rmdir()
