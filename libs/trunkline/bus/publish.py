"""One way to store a message: with its id, so that a repeat is known, and retried until it is certain."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from typing import Any, Final

import orjson
from nats.aio.msg import Msg
from nats.errors import ConnectionClosedError, ConnectionDrainingError

from trunkline.bus.answers import CANNOT_ASK, Answers, status_of
from trunkline.bus.away import BusAway
from trunkline.contracts.errors import Unavailable

PATIENCE: Final = 30.0
"""Seconds: longer than a cluster needs to elect a leader. A publish that timed out was almost always stored."""
TRY: Final = 2.0
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 0.5
"""A leader that is there again is not left waiting; a thousand writers that ask twice a second cost it nothing."""
WRONG_LAST_SEQUENCE: Final = (10071, 10164)
_OVER: Final = (ConnectionClosedError, ConnectionDrainingError)


class Raced(Exception):
    """Another writer appended to the same aggregate first: load again and decide again."""


async def publish(answers: Answers, subject: str, body: bytes, *, id: str, headers: Mapping[str, str] | None = None) -> int:
    """Store one message and return its sequence. Raises Raced, or Unavailable after half a minute."""
    return int((await acknowledged(answers, subject, body, id=id, headers=headers))["seq"])


async def acknowledged(answers: Answers, subject: str, body: bytes, *, id: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Store one message and return all that nats-server says of it. Raises Raced, or Unavailable after half a minute."""
    all_headers = {**(headers or {}), "Nats-Msg-Id": id}
    deadline = time.monotonic() + PATIENCE
    pause = FIRST_PAUSE
    while True:
        stored = _stored(subject, await _told(answers, subject, body, all_headers))
        if stored is not None:
            return stored
        if time.monotonic() + pause > deadline:
            raise BusAway("the bus did not confirm that it stored the message", code="NOT_STORED")
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(pause * 2, LONGEST_PAUSE)


async def _told(answers: Answers, subject: str, body: bytes, headers: Mapping[str, str]) -> Msg | None:
    """What nats-server says of one try; None when it says nothing."""
    try:
        return await answers.asked(subject, body, headers, TRY)
    except CANNOT_ASK as error:
        if isinstance(error, _OVER):
            raise BusAway("the connection to the bus is closed", code="BUS_CLOSED") from error
        return None


def _stored(subject: str, said: Msg | None) -> dict[str, Any] | None:
    """The acknowledgement, or None when it is to be tried again. Raises Raced, Unavailable."""
    if said is None or status_of(said):  # nobody listens on the subject now: no leader, or no stream yet
        return None
    answer: dict[str, Any] = orjson.loads(said.data)
    error = answer.get("error")
    if error is None:
        return answer
    if error.get("err_code") in WRONG_LAST_SEQUENCE:
        raise Raced(subject)
    if error.get("code") != 503:
        raise Unavailable(f"the bus refused to store: {error.get('description', 'it does not say why')}", code="STORE_REFUSED")
    return None
