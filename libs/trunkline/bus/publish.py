"""One way to store a message: with its id, so that a repeat is known, and retried until it is certain."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from typing import Final

from nats.errors import ConnectionClosedError, NoRespondersError, OutboundBufferLimitError
from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext
from nats.js.errors import APIError, NoStreamResponseError, ServiceUnavailableError

from trunkline.bus.heeding import heeding
from trunkline.contracts.errors import Unavailable

PATIENCE: Final = 30.0
"""Seconds: longer than a cluster needs to elect a leader. A publish that timed out was almost always stored."""
TRY: Final = 2.0
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 2.0
WRONG_LAST_SEQUENCE: Final = (10071, 10164)

_AGAIN = (NatsTimeout, TimeoutError, NoStreamResponseError, ServiceUnavailableError, NoRespondersError, OutboundBufferLimitError)


class Raced(Exception):
    """Another writer appended to the same aggregate first: load again and decide again."""


class BusAway(Unavailable):
    """The bus did not answer; nothing is known to be lost, and nobody but the bus is to blame."""


async def publish(js: JetStreamContext, subject: str, body: bytes, *, id: str, headers: Mapping[str, str] | None = None) -> int:
    """Store one message and return its sequence. Raises Raced, or Unavailable after half a minute."""
    all_headers = {**(headers or {}), "Nats-Msg-Id": id}
    deadline = time.monotonic() + PATIENCE
    pause = FIRST_PAUSE
    while True:
        try:
            return (await heeding(js.publish(subject, body, timeout=TRY, headers=all_headers))).seq
        except _AGAIN as error:
            await _rest(pause, deadline, error)
        except ConnectionClosedError as error:
            raise BusAway("the connection to the bus is closed", code="BUS_CLOSED") from error
        except APIError as error:
            if error.err_code in WRONG_LAST_SEQUENCE:
                raise Raced(subject) from error
            if error.code != 503:
                raise Unavailable(f"the bus refused to store: {error.description}", code="STORE_REFUSED") from error
            await _rest(pause, deadline, error)
        pause = min(pause * 2, LONGEST_PAUSE)


async def _rest(pause: float, deadline: float, error: Exception) -> None:
    if time.monotonic() + pause > deadline:
        raise BusAway("the bus did not confirm that it stored the message", code="NOT_STORED") from error
    await asyncio.sleep(pause * random.uniform(0.5, 1.0))
