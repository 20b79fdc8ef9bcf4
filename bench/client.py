"""The load, in a process of its own: a closed loop of tasks against Trunkline or against the floor; JSON lines in and out."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import nats
import uvloop
from nats.aio.msg import Msg

from bench.bare import CREATE, token

LINES = 20
DEADLINE = 30.0
REST = 1.0
"""Seconds after full load, in which what it left behind is done."""
EXECUTE = json.dumps({"repo": "acme/shop", "task": "Mend the cart: two teapots cost as much as one"}).encode()


@dataclass(slots=True)
class Told:
    """When one task was heard of, in seconds since it was sent."""

    first: float = 0.0
    said: float = 0.0
    result: float = 0.0
    read: float = 0.0
    whole: bool = False


@dataclass(slots=True)
class Heard:
    """What all tasks of one measurement came to."""

    seconds: float = 0.0
    tasks: list[Told] = field(default_factory=list)

    def as_json(self) -> str:
        parts = {name: [round(getattr(one, name) * 1000, 3) for one in self.tasks] for name in ("first", "said", "result", "read")}
        return json.dumps({"seconds": self.seconds, "tasks": len(self.tasks), "bad": sum(not one.whole for one in self.tasks), **parts})


async def loop(in_flight: int, seconds: float, task: Callable[[int], Awaitable[Told]]) -> Heard:
    """Keep `in_flight` tasks going for `seconds`, then let those under way end."""
    heard = Heard()
    began = time.perf_counter()

    async def hand(number: int) -> None:
        while time.perf_counter() - began < seconds:
            heard.tasks.append(await task(number))

    async with asyncio.timeout(seconds + DEADLINE), asyncio.TaskGroup() as group:
        for number in range(in_flight):
            group.create_task(hand(number))
    heard.seconds = time.perf_counter() - began
    return heard


async def floor(url: str, in_flight: int, seconds: float) -> Heard:
    """Publish, acknowledged; read the events from one core subscription on what the server republishes."""
    client = await nats.connect(url.split(","))
    js = client.jetstream(timeout=DEADLINE)
    mailboxes: dict[str, asyncio.Queue[bytes]] = {}

    async def arrived(message: Msg) -> None:
        mailboxes[message.subject.rpartition(".")[2]].put_nowait(message.data)

    await client.subscribe("live.evt.>", cb=arrived)
    await client.flush()

    async def task(number: int) -> Told:
        name, told, lines = f"{number}-{time.monotonic_ns()}", Told(), 0
        mailbox = mailboxes[name] = asyncio.Queue()
        began = time.perf_counter()
        await js.publish("work.dev", name.encode())
        while not told.result:
            body = await mailbox.get()
            elapsed = time.perf_counter() - began
            told.first = told.said = told.first or elapsed
            if b'"result"' in body:
                told.result, told.whole = elapsed, lines == LINES
            else:
                lines += body.count(b"\n") + 1
        del mailboxes[name]
        return told

    try:
        return await loop(in_flight, seconds, task)
    finally:
        await client.close()


class Line:
    """One kept-alive HTTP/1.1 connection, spoken by hand: a client that costs little leaves the cores to what is measured."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str = "") -> None:
        self.reader, self.writer = reader, writer
        self.credential = f"Authorization: Bearer {token}\r\n" if token else ""

    def ask(self, method: str, path: str, body: bytes = b"") -> None:
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        self.writer.write(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{self.credential}{kind}\r\n".encode() + body)

    async def answer(self) -> tuple[int, dict[str, Any]]:
        """One answer with a length and JSON in it."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return int(head[9:12]), json.loads(await self.reader.readexactly(length))


async def connected(port: int, token: str = "") -> Line:
    return Line(*await asyncio.open_connection("127.0.0.1", port), token)


async def submit(line: Line) -> str:
    line.ask("POST", "/api/pr-agent/execute", EXECUTE)
    status, body = await line.answer()
    if status != 200:
        raise RuntimeError(f"execute answered {status}: {body}")
    return str(body["streamUrl"])


async def trunkline(port: int, in_flight: int, seconds: float) -> Heard:
    """Submit by HTTP, then read the stream of the task to its end, on one connection a hand."""
    lines = [await connected(port) for _ in range(in_flight)]

    async def task(number: int) -> Told:
        line, told, began = lines[number], Told(), time.perf_counter()
        path = await submit(line)
        line.ask("GET", path)
        text = b""
        while not text.endswith(b"\r\n0\r\n\r\n"):
            if not (chunk := await line.reader.read(1 << 16)):
                raise RuntimeError(f"the stream broke off: {text[-300:]!r}")
            text += chunk
            note(told, text, time.perf_counter() - began)
        told.whole = text.count(b'data: {"type":"agent"') == LINES and told.result > 0
        return told

    try:
        return await loop(in_flight, seconds, task)
    finally:
        for line in lines:
            line.writer.close()


def note(told: Told, text: bytes, elapsed: float) -> None:
    if not told.first and b"\ndata: " in text:
        told.first = elapsed
    if not told.said and b'data: {"type":"agent"' in text:
        told.said = elapsed
    if not told.result and b'data: {"type":"result"' in text:
        told.result = elapsed


async def read(port: int, in_flight: int, seconds: float) -> Heard:
    """Submit, then read the job at once: `first` is the write, `read` the read after it; whole when the read knew of the write."""
    lines = [await connected(port) for _ in range(in_flight)]

    async def task(number: int) -> Told:
        line, told, began = lines[number], Told(), time.perf_counter()
        path = (await submit(line)).removesuffix("/stream")
        told.first = time.perf_counter() - began
        line.ask("GET", path)
        status, body = await line.answer()
        told.read = time.perf_counter() - began - told.first
        told.whole = status == 200 and body["id"] in path
        return told

    return await loop(in_flight, seconds, task)


Ask = Callable[[Line, float], Awaitable[Told]]
"""Asks once; late is what comes late after the moment it was due, whoever made it wait."""


async def created(line: Line, due: float) -> Told:
    """POST /tasks."""
    line.ask("POST", "/tasks", CREATE)
    status, body = await line.answer()
    return Told(first=time.perf_counter() - due, whole=status == 200 and body["success"])


async def getting(port: int) -> Ask:
    """GET /tasks/{id} of a task that is made for it."""
    line = await connected(port, token())
    line.ask("POST", "/tasks", CREATE)
    name = (await line.answer())[1]["task_id"]

    async def got(line: Line, due: float) -> Told:
        line.ask("GET", f"/tasks/{name}")
        status, body = await line.answer()
        return Told(first=time.perf_counter() - due, whole=status == 200 and body["task_id"] == name)

    return got


async def full(port: int, in_flight: int, seconds: float, ask: Ask) -> Heard:
    """Over and over."""
    lines = [await connected(port, token()) for _ in range(in_flight)]

    async def task(number: int) -> Told:
        return await ask(lines[number], time.perf_counter())

    return await loop(in_flight, seconds, task)


async def half(port: int, in_flight: int, seconds: float, ask: Ask) -> Heard:
    """At half the rate that `in_flight` hands reach, each at its own time whether or not those before it were answered."""
    most = await full(port, in_flight, seconds / 2, ask)
    await asyncio.sleep(REST)
    between = 2 * most.seconds / max(len(most.tasks), 1)
    lines = [await connected(port, token()) for _ in range(in_flight)]
    began = time.perf_counter()
    dues = (began + (number + random.uniform(0, 1)) * between for number in itertools.count())

    async def task(number: int) -> Told:
        due = next(dues)
        await asyncio.sleep(due - time.perf_counter())
        return await ask(lines[number], due)

    return await loop(in_flight, seconds, task)


async def create(port: int, in_flight: int, seconds: float) -> Heard:
    return await full(port, in_flight, seconds, created)


async def get(port: int, in_flight: int, seconds: float) -> Heard:
    return await full(port, in_flight, seconds, await getting(port))


async def half_create(port: int, in_flight: int, seconds: float) -> Heard:
    return await half(port, in_flight, seconds, created)


async def half_get(port: int, in_flight: int, seconds: float) -> Heard:
    return await half(port, in_flight, seconds, await getting(port))


async def main() -> None:
    kinds: dict[str, Callable[[Any, int, float], Awaitable[Heard]]] = {
        "floor": floor,
        "trunkline": trunkline,
        "read": read,
        "create": create,
        "get": get,
        "half create": half_create,
        "half get": half_get,
    }
    for text in sys.stdin:
        wish = json.loads(text)
        heard = await kinds[wish["kind"]](wish["address"], wish["in_flight"], wish["seconds"])
        print(heard.as_json(), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
