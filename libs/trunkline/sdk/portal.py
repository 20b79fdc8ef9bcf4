"""An event loop in a thread of its own, through which a program that is not asynchronous asks and waits."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, Final, TypeVar

T = TypeVar("T")
Last = Callable[[], Coroutine[Any, Any, None]]
WITHIN: Final = 5.0
"""Seconds for a thread to end."""


class ClosedError(RuntimeError):
    """The client was closed."""


class Portal:
    """Threads may share it. It ends when it is closed, when nobody has it any more, and when the program ends.

    `last` is run in it before it ends.
    """

    def __init__(self, last: Last) -> None:
        self._room = _Room()
        self.close = weakref.finalize(self, _close, self._room, last)

    def begin(self, asked: Coroutine[Any, Any, T]) -> Future[T]:
        """What comes of it, without waiting. Raises ClosedError."""
        try:
            return asyncio.run_coroutine_threadsafe(asked, self._room.loop())
        except BaseException:
            asked.close()
            raise

    def run(self, asked: Coroutine[Any, Any, T]) -> T:
        """What it returns or raises; an interrupt cancels it. Raises ClosedError."""
        try:
            loop = self._room.loop()
        except ClosedError:
            asked.close()
            raise
        coming: Future[T] | None = None
        try:
            coming = asyncio.run_coroutine_threadsafe(asked, loop)
            return coming.result()
        except CancelledError:
            raise ClosedError("the client was closed meanwhile") from None
        except BaseException:
            if coming is not None:
                coming.cancel()
            raise


class _Room:
    """The thread and its loop, made when they are needed. After a fork the child makes its own: threads do not come along."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lives: tuple[asyncio.AbstractEventLoop, threading.Thread, int] | None = None
        self._closed = False

    def loop(self) -> asyncio.AbstractEventLoop:
        """Raises ClosedError."""
        with self._lock:
            if self._closed:
                raise ClosedError("the client is closed")
            if self._lives is None or self._lives[2] != os.getpid():
                if self._lives is not None:  # the parent's, in which nothing happens here any more
                    self._lives[0].set_exception_handler(_say_nothing)
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=_live, args=(loop,), name="trunkline", daemon=True)
                self._lives = loop, thread, os.getpid()
                thread.start()
            return self._lives[0]

    def closed(self) -> tuple[asyncio.AbstractEventLoop, threading.Thread] | None:
        """From now on; what is to be ended, if it is ours."""
        with self._lock:
            lives, self._lives, self._closed = self._lives, None, True
        return lives[:2] if lives and lives[2] == os.getpid() else None


def _close(room: _Room, last: Last) -> None:
    if lives := room.closed():
        loop, thread = lives
        asyncio.run_coroutine_threadsafe(_ending(last, loop), loop)
        if thread is not threading.current_thread():
            thread.join(WITHIN)


def _live(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _say_nothing(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Its connections are the parent's to close."""


async def _ending(last: Last, loop: asyncio.AbstractEventLoop) -> None:
    try:
        await last()
        others = [task for task in asyncio.all_tasks(loop) if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=WITHIN / 2)
    finally:
        loop.call_soon(loop.stop)
