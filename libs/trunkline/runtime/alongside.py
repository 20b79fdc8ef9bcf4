"""Two things at once, one of which matters: the other may only interrupt it, and never changes the shape of its exceptions."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def alongside(work: Coroutine[Any, Any, T], companion: Coroutine[Any, Any, None]) -> T:
    """The result of `work`. Should `companion` raise first, `work` is cancelled and that is raised instead.

    A TaskGroup would do, but wraps what is raised in groups, which `except` clauses further up cannot tell apart.
    """
    main = asyncio.create_task(work)
    side = asyncio.create_task(companion)
    try:
        await asyncio.wait({main, side}, return_when=asyncio.FIRST_COMPLETED)
        if side.done() and not main.done() and (error := side.exception()):
            raise error
        return await main
    finally:
        main.cancel()
        side.cancel()
        await asyncio.wait({main, side})
        for task in (main, side):
            _ = task.cancelled() or task.exception()  # seen, so that nobody complains that it was never retrieved
