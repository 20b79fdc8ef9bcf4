"""A task beside a generator: begun in one step of it and ended in another, which no TaskGroup allows across a `yield`."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Owned:
    """Runs `work` until it ends or its owner calls `end`; what it raises is for `work` itself to tell."""

    def __init__(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.create_task(work)

    async def end(self) -> None:
        """Returns when it is over, cancelled if it was not."""
        self._task.cancel()
        await asyncio.wait({self._task})
        _ = self._task.cancelled() or self._task.exception()  # seen, so that nobody complains that it was never retrieved
