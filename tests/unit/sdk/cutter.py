"""A way to a gateway that breaks: a TCP proxy in a thread of its own, which cuts connections in the middle of what they carry."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

WITHIN = 20.0


@dataclass
class Cutter:
    """Each connection carries `fewest` to `most` bytes of answers, then it is cut, hard or in order; while `mercy` nothing is cut."""

    upstream: str
    seed: int
    fewest: int = 1
    most: int = 1500
    mercy: bool = False
    cuts: int = 0
    port: int = 0
    asked: list[bytes] = field(default_factory=list)
    """The first line of every request that began a connection."""

    def __post_init__(self) -> None:
        self._luck = random.Random(self.seed)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Cutter]:
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = urlsplit(self.upstream)
        try:
            far_reader, far_writer = await asyncio.open_connection(target.hostname, target.port)
        except OSError:  # a gateway that is being started again
            writer.transport.abort()
            return
        there = asyncio.create_task(self._there(reader, far_writer))
        try:
            await self._back(far_reader, writer)
        except OSError:
            pass
        finally:
            there.cancel()
            far_writer.transport.abort()
            writer.transport.abort() if self._luck.random() < 0.5 else writer.close()

    async def _there(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun = False
        while data := await reader.read(1 << 16):
            if not begun:
                begun, _ = True, self.asked.append(data.split(b"\r\n")[0])
            writer.write(data)

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = self._luck.randint(self.fewest, self.most)
        while data := await reader.read(1 << 16):
            if not self.mercy and len(data) > left:
                writer.write(data[:left])
                await writer.drain()
                self.cuts += 1
                return
            left -= len(data)
            writer.write(data)
            await writer.drain()


@contextmanager
def cutting(upstream: str, seed: int, **how: int) -> Iterator[Cutter]:
    """For tests without a loop."""
    cutter, loop = Cutter(upstream, seed, **how), asyncio.new_event_loop()
    ready, over = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with cutter.serving():
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(WITHIN), "the proxy did not come up"
    try:
        yield cutter
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(WITHIN)
