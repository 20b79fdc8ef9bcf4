"""A task with an owner: it lives as long as the block that started it, and never changes how that block ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog

log = structlog.get_logger()


@asynccontextmanager
async def background(work: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run `work` beside the block and cancel it at the end; should it break, that is logged."""
    task = asyncio.create_task(_logged(work))  # noqa: TID251  (a TaskGroup would wrap the block's own exceptions)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _logged(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        await work()
    except Exception:
        log.exception("background.broke", work=getattr(work, "__qualname__", ""))
