"""Which traces are kept: a share of those that begin here, and of those that callers want kept, each up to so many a second."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final

BURST_S: Final = 2.0
"""Seconds for which nothing was asked that may be made up for at once."""


class Allowance:
    """So many a second, evenly, and a few at once."""

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._most = max(per_s * BURST_S, 1.0) if per_s else 0.0
        self._left = self._most
        self._at = clock()
        self._clock = clock

    def take(self) -> bool:
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Sampler:
    """Decides once for each trace, where it begins or comes in."""

    def __init__(self, ratio: float, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._ratio = ratio
        self._own = Allowance(per_s, clock)
        self._asked = Allowance(per_s, clock)

    def own(self) -> bool:
        """Whether one that begins here is kept."""
        return (self._ratio >= 1.0 or random.random() < self._ratio) and self._own.take()

    def asked(self) -> bool:
        """Whether one is kept that its sender wants kept: nobody outside decides how much we store."""
        return self._asked.take()
