"""Whether what comes is read as it comes, or, where it comes fast, many at once a moment later: to be woken costs more than to read."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

FAST: Final = 100.0
"""Messages a second from which on many are read at once."""
REST: Final = 0.02
"""Seconds between two readings then: what a message waits at most for company."""
ENOUGH: Final = 16
"""Messages before which nobody can tell how fast they come."""
FEW: Final = 2
"""Messages of a reading of which it was worth while."""
SLOW: Final = 4
"""Readings with fewer, one after the other, after which each message is read as it comes."""


class Pace:
    """Of one reader."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._came = 0
        self._since = clock()
        self._poor = 0
        self.brisk = False
        """Whether messages are to be let gather."""

    def came(self) -> None:
        """A message."""
        self._came += 1

    def turn(self) -> bool:
        """What was asked for has come, or will not: how the next is to be read. Returns `brisk`."""
        now = self._clock()
        if self.brisk:
            self._poor = self._poor + 1 if self._came < FEW else 0
            self.brisk = self._poor < SLOW
        elif self._came >= ENOUGH and self._came > FAST * (now - self._since):
            self.brisk, self._poor = True, 0
        self._came, self._since = 0, now
        return self.brisk
