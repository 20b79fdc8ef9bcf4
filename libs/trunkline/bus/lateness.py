"""How late a command is by the clocks of two machines that may differ by any amount: what counts is how much longer it took than others."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final
from uuid import uuid4

SENT: Final = "Trunkline-Sent"
"""Header: a random name of the sending process, its monotonic clock, and for how many seconds it waits."""
MOST_SENDERS: Final = 1024
WINDOW: Final = 300.0
"""Seconds: within one or two of them the quickest command is found with which the others of a sender are compared, for clocks drift."""
_ME: Final = uuid4().hex[:12]


def sent(seconds: float) -> str:
    return f"{_ME} {time.monotonic():.4f} {seconds:.3f}"


class Lateness:
    """Of all senders that one process hears."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._quickest: OrderedDict[str, tuple[float, float, float]] = OrderedDict()
        """By sender: the least difference of the clocks in the window before and in this one, and when this one began."""

    def left(self, header: str) -> float:
        """Seconds for which the sender still waits; not more than 0 when it has given up. The first that is heard of a sender took no time
        as far as anybody knows. Raises ValueError for what is no such header."""
        who, at, waits = header.split(" ")
        now = self._clock()
        return float(waits) - self._over(who, now - float(at), now)

    def _over(self, who: str, apart: float, now: float) -> float:
        before, least, began = self._quickest.pop(who, (apart, apart, now))
        if now - began > WINDOW:
            before, least, began = least, apart, now
        self._quickest[who] = before, min(least, apart), began
        if len(self._quickest) > MOST_SENDERS:
            self._quickest.popitem(last=False)
        return apart - min(before, least, apart)
