"""An answer within the time that clients wait for one, whatever the bus does meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from trunkline.contracts.errors import Unavailable

IN_TIME: Final = 8.0
"""Seconds: the documented clients wait ten."""


@asynccontextmanager
async def in_time(seconds: float = IN_TIME) -> AsyncIterator[None]:
    """What takes longer inside the block is given up. Raises Unavailable for that."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise Unavailable("the bus does not answer; try again in a moment", code="BUS_AWAY") from None
