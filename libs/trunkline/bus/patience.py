"""Asking the bus something while it may be restarting: again, a little later, but not for ever."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from nats.errors import ConnectionClosedError, ConnectionReconnectingError, NoRespondersError, OutboundBufferLimitError
from nats.js.errors import ServiceUnavailableError

from trunkline.bus.away import BusAway
from trunkline.bus.heeding import heeding

T = TypeVar("T")

TRIES: Final = 6
_AGAIN = (
    TimeoutError,
    NoRespondersError,
    ServiceUnavailableError,
    ConnectionClosedError,
    ConnectionReconnectingError,
    OutboundBufferLimitError,
)


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """The answer to a question that may be asked twice. Raises BusAway after some ten seconds."""
    for attempt in range(TRIES):
        try:
            return await heeding(ask())
        except _AGAIN as error:
            last = error
            await asyncio.sleep(0.1 * 2**attempt * random.uniform(0.5, 1.0))
    raise BusAway(f"the bus does not answer ({type(last).__name__})", code="BUS_AWAY") from last
