"""A way to a gateway that breaks: a TCP proxy which cuts every connection after so many bytes of answers, wherever that is."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

WITHIN = 20.0


@dataclass
class Way:
    """`most` bytes of answers on one connection; then it is reset, or closed as if all were told."""

    upstream: str
    luck: random.Random
    most: int
    cuts: int = 0
    url: str = ""
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def serve(self, begun: Callable[[asyncio.AbstractEventLoop, asyncio.Event], None]) -> None:
        over = asyncio.Event()
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        begun(asyncio.get_running_loop(), over)
        await over.wait()
        server.close()
        async with asyncio.timeout(WITHIN):
            while self._writers:
                for writer in self._writers:
                    writer.transport.abort()
                await asyncio.sleep(0.01)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far = urlsplit(self.upstream)
        back, there = await asyncio.open_connection(far.hostname, far.port)
        self._writers |= {writer, there}
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_copied(reader, there))
                both.create_task(self._cut(back, writer))
        except* OSError:
            pass
        finally:
            self._writers -= {writer, there}

    async def _cut(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = self.luck.randint(1, self.most)
        while (data := await reader.read(1 << 16)) and len(data) <= left:
            left -= len(data)
            writer.write(data)
            await writer.drain()
        if data:
            self.cuts += 1
            writer.write(data[:left])
            await writer.drain()
        writer.close() if not data or self.luck.random() < 0.5 else writer.transport.abort()
        raise ConnectionResetError  # ends the other half


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@contextmanager
def breaking(upstream: str, seed: int, most: int) -> Iterator[Way]:
    """In a thread of its own."""
    way, ready = Way(upstream, random.Random(seed), most), threading.Event()
    ends: list[Callable[[], object]] = []

    def begun(loop: asyncio.AbstractEventLoop, over: asyncio.Event) -> None:
        ends.append(lambda: loop.call_soon_threadsafe(over.set))
        ready.set()

    thread = threading.Thread(target=lambda: asyncio.run(way.serve(begun)), daemon=True)
    thread.start()
    try:
        assert ready.wait(WITHIN), "the way did not open"
        yield way
    finally:
        ends[0]()
        thread.join(WITHIN)
