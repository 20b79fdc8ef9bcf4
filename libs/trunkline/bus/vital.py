"""Work that a service cannot be without: should it break, the service ends, and whoever supervises starts it again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

INSIST: Final = 10.0
"""Seconds, more than an orderly end takes."""


@asynccontextmanager
async def vital(*works: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run all of `works` beside the block and cancel them at its end; the first that breaks ends the block with its exception."""
    try:
        async with asyncio.TaskGroup() as group, _ended([group.create_task(work()) for work in works]) as tasks:
            with _insisting(tasks):
                yield
    except ExceptionGroup as broken:
        raise _first(broken) from broken


@asynccontextmanager
async def _ended(works: Sequence[asyncio.Task[None]]) -> AsyncIterator[Sequence[asyncio.Task[None]]]:
    """All of them end with the block: a work may lose its cancel too, and whoever stops would wait for it for ever."""
    try:
        yield works
    finally:
        left = set(works)
        while left:
            for work in left:
                work.cancel()
            _, left = await asyncio.wait(left, timeout=INSIST)


@contextmanager
def _insisting(works: Sequence[asyncio.Task[None]]) -> Iterator[None]:
    """The block ends though the first cancel is lost: `asyncio.wait_for` of Python 3.11, in which NATS clients wait for every answer, loses
    one that comes at the moment of the answer, and the block would go on for ever without what it cannot be without."""
    block, loop = asyncio.current_task(), asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = []

    def again() -> None:
        if block:
            block.cancel()
        later()

    def later() -> None:
        timers.append(loop.call_later(INSIST, again))

    def ended(work: asyncio.Task[None]) -> None:
        if not timers and not work.cancelled() and work.exception():
            later()

    for work in works:
        work.add_done_callback(ended)
    try:
        yield
    finally:
        for work in works:
            work.remove_done_callback(ended)
        _forget(block, timers)


def _forget(block: asyncio.Task[Any] | None, timers: Sequence[asyncio.TimerHandle]) -> None:
    """No cancel comes after the block, and whoever is around it knows only of the first."""
    for timer in timers:
        timer.cancel()
    for _ in timers[1:]:
        if block:
            block.uncancel()


def _first(broken: ExceptionGroup[Exception]) -> Exception:
    first = broken.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first
