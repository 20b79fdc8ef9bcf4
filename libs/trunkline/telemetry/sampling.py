"""Which traces are kept: a share of those that begin here, those that callers want kept, and what broke, each up to so many a second."""

from __future__ import annotations

import random
import time
from collections import OrderedDict
from collections.abc import Callable
from math import inf
from typing import Final

BURST_S: Final = 2.0
"""Seconds for which nothing was asked that may be made up for at once."""
KNOWN: Final = 1024
"""Of those who took something."""
Whose = tuple[str, str]
"""A tenant, and what kind of request."""


class Allowance:
    """So many a second, evenly, and a few at once. Of the lower half nobody has two within the time of a burst: whoever takes much, a
    tenant or one kind of request, leaves others theirs."""

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._most = max(per_s * BURST_S, 1.0) if per_s else 0.0
        self._left = self._most
        self._at = clock()
        self._clock = clock
        self._none_until = 0.0 if per_s else inf
        self._took: OrderedDict[Whose, float] = OrderedDict()

    def take(self, whose: Whose) -> bool:
        now = self._clock()
        if now < self._none_until:  # asked of every request that writes
            return False
        self._left = min(self._most, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1.0:
            self._none_until = now + (1.0 - self._left) / self._per_s
            return False
        if self._left < self._most / 2 and now - self._took.get(whose, -inf) < BURST_S:
            return False
        self._left -= 1.0
        self._note(whose, now)
        return True

    def _note(self, whose: Whose, now: float) -> None:
        self._took[whose] = now
        self._took.move_to_end(whose)
        if len(self._took) > KNOWN:
            self._took.popitem(last=False)


class Sampler:
    """Decides once for each trace, where it begins or comes in, when it is known whose it is."""

    def __init__(self, ratio: float, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._ratio = ratio
        self._own = Allowance(per_s, clock)
        self.asked = Allowance(per_s, clock).take
        """Whether one is kept that its sender wants kept: nobody outside decides how much we store."""
        self.broken = Allowance(per_s, clock).take
        """Whether it is kept that something broke, in a trace that is not."""

    def own(self, whose: Whose) -> bool:
        """Whether one that begins here is kept."""
        return (self._ratio >= 1.0 or random.random() < self._ratio) and self._own.take(whose)
