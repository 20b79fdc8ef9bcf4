"""A way to a gateway that breaks: connections are cut before what was asked arrives, or before what is answered does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from random import Random

WITHIN = 10.0


@dataclass
class Way:
    """In both directions each piece that passes may be the last; `answers_to_cut` are lost for certain."""

    port: int
    random: Random
    chance: float = 0.0
    answers_to_cut: int = 0
    cuts: int = 0
    url: str = ""

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.transport.abort()
            return
        ends = (writer, there[1])
        directions = (self._pass(reader, there[1], answer=False), self._pass(there[0], writer, answer=True))
        with suppress(OSError):
            await asyncio.wait([asyncio.ensure_future(each) for each in directions], return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bool) -> None:
        with suppress(OSError):
            while piece := await reader.read(1 << 16):
                if self._is_cut(answer):
                    self.cuts += 1
                    return
                writer.write(piece)
                await writer.drain()

    def _is_cut(self, answer: bool) -> bool:
        if answer and self.answers_to_cut:
            self.answers_to_cut -= 1
            return True
        return self.random.random() < self.chance


@contextmanager
def way(port: int, seed: int = 1) -> Iterator[Way]:
    """In a thread of its own, until the end."""
    made, ready, loop, over = Way(port, Random(seed)), threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        server = await asyncio.start_server(made.carry, "127.0.0.1", 0)
        made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        await over.wait()
        server.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(WITHIN), "the way did not open"
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(WITHIN)
