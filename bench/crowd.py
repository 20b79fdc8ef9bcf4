"""Readers of a stream in a process of their own: thousands of one, or one that takes all there is; JSON lines in and out."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import uvloop

TOGETHER = 100
"""Connections that are opened at once."""
PATIENCE = 60.0
UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
UPGRADED = b"HTTP/1.1 101 "


class Crowd:
    """What all readers of one stream heard."""

    def __init__(self) -> None:
        self.readers: list[_Reader] = []
        self.opened = 0
        self.lost = 0
        self.late: list[float] = []
        """Seconds from an event's stamp to its coming."""

    async def open(self, port: int, path: str, count: int, more: str = "") -> int:
        """How many stand. `more`: headers of each request."""
        loop, request = asyncio.get_running_loop(), asked(path, more)
        while len(self.readers) < count:
            async with asyncio.TaskGroup() as group:
                some = min(TOGETHER, count - len(self.readers))
                opening = [
                    group.create_task(loop.create_connection(lambda: _Reader(self, request), "127.0.0.1", port)) for _ in range(some)
                ]
            self.readers += [each.result()[1] for each in opening]
        await self._until(lambda: self.opened >= count)
        return self.opened - self.lost

    async def heard(self, count: int) -> list[float]:
        """As soon as `count` events came, to all together."""
        await self._until(lambda: len(self.late) >= count)
        late, self.late = self.late, []
        return late

    def tally(self, events: int) -> dict[str, int]:
        """How many of so many events each were not heard, and how many were heard again."""
        heard = [reader.heard for reader in self.readers]
        return {"missed": sum(max(0, events - each) for each in heard), "twice": sum(max(0, each - events) for each in heard)}

    def leave(self) -> None:
        for reader in self.readers:
            reader.leave()

    async def _until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not true() and time.monotonic() < deadline:  # noqa: ASYNC110 (two ints that thousands of readers count)
            await asyncio.sleep(0.02)


class _Reader(asyncio.Protocol):
    __slots__ = ("_crowd", "_request", "_transport", "heard")

    def __init__(self, crowd: Crowd, request: bytes) -> None:
        self._crowd = crowd
        self._request = request
        self._transport: asyncio.Transport | None = None
        self.heard = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def leave(self) -> None:
        if self._transport:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        if b": open" in data or data.startswith(UPGRADED):
            self._crowd.opened += 1
        at = data.find(b"T=")
        while at >= 0:
            end = data.index(b"#", at)
            self._crowd.late.append(time.time() - float(data[at + 2 : end]))
            self.heard += 1
            at = data.find(b"T=", end)

    def connection_lost(self, error: Exception | None) -> None:
        self._crowd.lost += 1


async def take(port: int, path: str) -> dict[str, float]:
    """The whole of a stream that ends: seconds, events, bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    began, events, size = time.perf_counter(), 0, 0
    writer.write(asked(path))
    tail = b""
    while piece := await reader.read(1 << 18):
        size += len(piece)
        events += (tail[-6:] + piece).count(b"\ndata: ")
        tail = (tail + piece)[-16:]
        if tail.endswith(b"\r\n0\r\n\r\n"):
            break
    writer.close()
    return {"seconds": time.perf_counter() - began, "events": events, "bytes": size}


async def knock(port: int, path: str, count: int, more: str = "") -> dict[str, int]:
    """So many requests, one after the other: how many got which status, and how many were told when to come again."""
    told = Counter[str]()
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(asked(path, more))
        head = await reader.readuntil(b"\r\n\r\n")
        told[head.split(b" ", 2)[1].decode()] += 1
        told["later"] += b"\r\nretry-after: " in head.lower()
        writer.close()
    return told


def asked(path: str, more: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n".encode()


async def main() -> None:
    loop, crowd = asyncio.get_running_loop(), Crowd()
    while text := await loop.run_in_executor(None, sys.stdin.readline):
        wish = json.loads(text)
        match wish["kind"]:
            case "open":
                answer: Any = await crowd.open(wish["port"], wish["path"], wish["count"])
            case "hear":
                answer = await crowd.open(wish["port"], wish["path"], wish["count"], UPGRADE)
            case "heard":
                answer = await crowd.heard(wish["count"])
            case "tally":
                answer = crowd.tally(wish["events"])
            case "knock":
                answer = await knock(wish["port"], wish["path"], wish["count"], UPGRADE)
            case "leave":
                crowd.leave()
                crowd, answer = Crowd(), None
            case _:
                answer = await take(wish["port"], wish["path"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
