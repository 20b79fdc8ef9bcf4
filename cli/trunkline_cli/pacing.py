"""When each of several events is due at a pace of one's own, faster than a gateway paces them, or of what no gateway tells."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Final, TypeVar

from trunkline.contracts.errors import Invalid

SLOWEST: Final = 0.1
FASTEST: Final = 1000.0
BY_GATEWAY: Final = 100.0
"""Up to which a gateway paces by itself."""
LONGEST: Final = 60.0
"""Seconds that a pause counts at most before the speed divides it, as everywhere."""
MAX: Final = "max"
_NUMBER: Final = re.compile(r"[0-9]{1,4}(\.[0-9]{1,9})?")
E = TypeVar("E")


def speed_of(text: str) -> float | None:
    """None for as fast as it comes. Raises Invalid INVALID_SPEED."""
    if text == MAX:
        return None
    number = float(text) if _NUMBER.fullmatch(text) else 0.0
    if not SLOWEST <= number <= FASTEST:
        raise Invalid("--speed is a number from 0.1 to 1000, such as 0.5 or 10, or the word max", code="INVALID_SPEED")
    return number


async def paced(events: AsyncIterator[E], moment: Callable[[E], datetime | None], speed: float | None) -> AsyncIterator[E]:
    """The same events, each when it is due: short waits do not add up, and a clock that goes back waits for nobody."""
    begun, due, before = time.monotonic(), 0.0, None
    async for event in events:
        at = moment(event)
        if speed and at:
            if before:
                due += min(max((at - before).total_seconds(), 0.0), LONGEST) / speed
            before = max(at, before) if before else at
            if (wait := begun + due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
        yield event
