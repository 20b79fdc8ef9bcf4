"""The row `door`: the first byte of a model's answer through the model door, against the same request made straight to the model."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import uvloop

from bench import processes
from bench.figures import Figure, at
from bench.models import KEY, Models, models
from bench.plan import Plan
from trunkline.testing.nats import nats_server

KIB: Final = 1 << 10
SIZES: Final = {100: "<= 5", 1000: ""}
"""KiB that are asked with, and what the door may add: a conversation that has gone on for some turns, and one near the end of its context.
That one has no target: it is read whole and judged before it goes on, which takes the longer the longer it is."""
WARM: Final = 5
READ: Final = {"name": "Read", "description": "reads a file"}
OBJECT: Final = {"type": "object"}


@dataclass(frozen=True, slots=True)
class Shape:
    """One way to ask. `body` is told the text of a long conversation."""

    name: str
    path: str
    extra: Mapping[str, Any]
    holds: str

    def body(self, size: int) -> bytes:
        said = [{"role": "user", "content": "all that was said before. " * (size // 26)}]
        return json.dumps({"model": "m", "stream": True, **self.extra, self.holds: said}).encode()


SHAPES: Final = (
    Shape("Anthropic messages", "/v1/messages", {"max_tokens": 1000, "tools": [{**READ, "input_schema": OBJECT}]}, "messages"),
    Shape("OpenAI responses", "/v1/responses", {"tools": [{"type": "function", **READ, "parameters": OBJECT}]}, "input"),
    Shape("OpenAI chat", "/v1/chat/completions", {"tools": [{"type": "function", "function": {**READ, "parameters": OBJECT}}]}, "messages"),
)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to a model: the connections that are kept, its address, and the credential."""

    session: aiohttp.ClientSession
    base: str
    token: str

    async def first_byte(self, path: str, body: bytes) -> float:
        """Milliseconds. The answer is read to its end. Raises RuntimeError when it is no stream."""
        headers = {"authorization": f"Bearer {self.token}", "x-api-key": self.token, "content-type": "application/json"}
        began = time.perf_counter()
        async with self.session.post(self.base + path, data=body, headers=headers) as answer:
            await answer.content.readany()
            took = (time.perf_counter() - began) * 1000
            if answer.status != 200 or "event-stream" not in answer.headers["content-type"]:
                raise RuntimeError(f"{self.base}{path} answered {answer.status}")
            await answer.read()
        return took


def measure(plan: Plan) -> list[Figure]:
    with models() as both, nats_server() as server, tempfile.TemporaryDirectory(prefix="tld-", dir="/tmp") as folder:
        words = ("bench.doorkeeper", server.url, folder, both.anthropic, both.openai)
        with processes.python(*words, talking=True) as child:
            assert child.stdout
            socket, token = child.stdout.readline().split()
            return uvloop.run(_measured(plan, both, socket, token))


async def _measured(plan: Plan, both: Models, socket: str, token: str) -> list[Figure]:
    figures: list[Figure] = []
    async with aiohttp.ClientSession() as straight, aiohttp.ClientSession(connector=aiohttp.UnixConnector(socket)) as through:
        door = Way(through, "http://model.internal", token)
        for shape in SHAPES:
            bare = Way(straight, both.anthropic if shape is SHAPES[0] else both.openai, KEY)
            for size, most in SIZES.items():
                plan.say(f"door: {shape.name}, {size} KiB")
                times = await _in_turns(plan, (bare, door), shape.path, shape.body(size * KIB))
                figures += _figures(f"{shape.name}, {size:,} KiB asked: ", most, *times)
    return figures


async def _in_turns(plan: Plan, ways: Sequence[Way], path: str, body: bytes) -> list[list[float]]:
    times: list[list[float]] = [[] for _ in ways]
    for number in range(WARM + (10 if plan.quick else 200)):
        for way, into in zip(ways, times, strict=True):
            took = await way.first_byte(path, body)
            if number >= WARM:
                into.append(took)
    return times


def _figures(head: str, most: str, bare: Sequence[float], door: Sequence[float]) -> Iterator[Figure]:
    yield Figure(head + "straight, first byte p50", at(bare, 0.5), "ms")
    yield Figure(head + "the door adds, p50", at(door, 0.5) - at(bare, 0.5), "ms", most)
    yield Figure(head + "the door adds, p95", at(door, 0.95) - at(bare, 0.95), "ms")
