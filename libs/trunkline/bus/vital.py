"""Work that a service cannot be without: should it break, the service ends, and whoever supervises starts it again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def vital(*works: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run all of `works` beside the block and cancel them at its end; the first that breaks ends the block with its exception."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work()) for work in works]
            yield
            for task in tasks:
                task.cancel()
    except ExceptionGroup as broken:
        raise _first(broken) from broken


def _first(broken: ExceptionGroup[Exception]) -> Exception:
    first = broken.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first
