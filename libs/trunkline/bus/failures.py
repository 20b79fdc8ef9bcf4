"""How often a message broke whoever looked at it, where it is also handed out for other reasons than to be tried once more."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from nats.aio.msg import Msg

from trunkline.bus.dead import DeadLetters
from trunkline.bus.delivery import failed, seq_of

MOST: Final = 1024
"""Messages that are remembered; one that was forgotten is tried as often once more."""


class Failures:
    """As this process saw them. Each replica counts for itself, so there may be as many times eight tries as there are replicas."""

    def __init__(self, dead: DeadLetters) -> None:
        self._dead = dead
        self._counts: OrderedDict[int, int] = OrderedDict()

    async def put(self, message: Msg, error: Exception) -> None:
        """Once more: the message comes again later, or lies with the dead letters from now on."""
        seq = seq_of(message)
        tries = self._counts.pop(seq, 0) + 1
        self._counts[seq] = tries
        while len(self._counts) > MOST:
            self._counts.popitem(last=False)
        await failed(message, error, self._dead.put, tries)
