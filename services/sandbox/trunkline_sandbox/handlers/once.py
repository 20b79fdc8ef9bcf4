"""Carrying a piece of work once in this process, however often it is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from trunkline.bus import LeaveAlone, WorkItem

Carried = dict[tuple[str, int, int], asyncio.Future[bool]]
"""What is being carried here, by task, attempt and round, and whether it was brought to its end."""


async def once(carried: Carried, item: WorkItem, carry: Callable[[], Awaitable[None]]) -> None:
    """Carry the item, unless it is being carried here already: shown again after the bus was away, it waits and ends as the first does.

    Raises LeaveAlone when the first one failed: nothing is done then, and it is to be shown once more.
    """
    key = (item.task, item.attempt, item.round)
    if key in carried:
        if not await asyncio.shield(carried[key]):
            raise LeaveAlone
        return
    done = carried[key] = asyncio.get_running_loop().create_future()
    try:
        await carry()
        done.set_result(True)
    finally:
        del carried[key]
        if not done.done():
            done.set_result(False)
