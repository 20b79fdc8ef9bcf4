"""Looks into the bus of a running stack over one connection that is kept while it is used: one for each look would cost too much."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar

from trunkline.bus import Bus, connect
from trunkline.bus.settings import BusSettings

A = TypeVar("A")
IDLE = 2.0
"""Seconds without a look after which a connection is given up: its stack may be gone."""
PATIENCE = 15.0


@dataclass
class Line:
    """One connection, held by a task of its own; `cut` is set when it has served."""

    settings: BusSettings
    used: float
    bus: asyncio.Future[Bus] = field(default_factory=asyncio.Future)
    cut: asyncio.Event = field(default_factory=asyncio.Event)
    holder: asyncio.Task[None] | None = None


_LINES: dict[str, Line] = {}


def look(settings: BusSettings, question: Callable[[Bus], Awaitable[A]]) -> A:
    """The answer of that bus. Raises what the question raises, and OSError when the bus is away."""
    try:
        return asyncio.run_coroutine_threadsafe(_asked(settings, question), _loop()).result(2 * PATIENCE)
    except CancelledError as cut:
        raise ConnectionError("the bus is away") from cut


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="looking", daemon=True).start()
    return loop


async def _asked(settings: BusSettings, question: Callable[[Bus], Awaitable[A]]) -> A:
    key = f"{settings.nats_url} {settings.nats_password.get_secret_value()}"
    line = _LINES.get(key) or _opened(key, settings)
    line.used = _loop().time()
    try:
        async with asyncio.timeout(PATIENCE):
            return await question(await asyncio.shield(line.bus))
    except BaseException:
        line.cut.set()
        _forget(key, line)
        raise


def _opened(key: str, settings: BusSettings) -> Line:
    line = _LINES[key] = Line(settings, _loop().time())
    line.holder = asyncio.create_task(_held(key, line))
    return line


async def _held(key: str, line: Line) -> None:
    try:
        async with connect(line.settings, "test") as bus:
            line.bus.set_result(bus)
            while not line.cut.is_set() and _loop().time() - line.used < IDLE:
                with suppress(TimeoutError):
                    async with asyncio.timeout(IDLE / 4):
                        await line.cut.wait()
            _forget(key, line)
    except BaseException:  # whoever asks over it hears that it is away
        _forget(key, line)
        line.bus.cancel()


def _forget(key: str, line: Line) -> None:
    if _LINES.get(key) is line:
        del _LINES[key]
