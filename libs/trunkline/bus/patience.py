"""Asking the bus something while it may be restarting: again, a little later, but not for ever."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from nats.errors import ConnectionClosedError, ConnectionReconnectingError, NoRespondersError, OutboundBufferLimitError
from nats.js.errors import APIError, ServiceUnavailableError

from trunkline.bus.away import BusAway
from trunkline.bus.heeding import heeding

T = TypeVar("T")

WITHIN: Final = 12.0
"""Seconds: the nodes of a cluster take up to nine to elect a leader, and refuse at once meanwhile."""
LONGEST: Final = 1.0
_AGAIN = (
    TimeoutError,
    NoRespondersError,
    ServiceUnavailableError,
    ConnectionClosedError,
    ConnectionReconnectingError,
    OutboundBufferLimitError,
)


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """The answer to a question that may be asked twice. Raises BusAway after some twelve seconds."""
    deadline, pause = time.monotonic() + WITHIN, 0.1
    while True:
        try:
            return await heeding(ask())
        except _AGAIN as error:
            if time.monotonic() + pause > deadline:
                raise BusAway(f"the bus does not answer ({said(error)})", code="BUS_AWAY") from error
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(pause * 2, LONGEST)


def said(error: Exception) -> str:
    """What nats-server said, if it said anything, else what happened."""
    return (isinstance(error, APIError) and error.description) or type(error).__name__
