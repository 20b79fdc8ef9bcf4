"""Gathers what a handler says into few messages: the first at once, what follows in company; bounded, and honest about it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

T = TypeVar("T")
PACE: Final = 0.05
"""Seconds between two messages of one task, while it keeps on talking."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """`full`: when so much waits, whoever can wait is made to. `most`: what is more is left out. `batch`: of one message."""

    full_items: int = 256
    full_bytes: int = 1 << 20
    most_items: int = 1024
    most_bytes: int = 4 << 20
    batch_items: int = 63
    batch_bytes: int = 192 << 10


@dataclass(slots=True)
class Gatherer(Generic[T]):
    """What waits to be said of one task, in order. It knows no clock and no thread."""

    bounds: Bounds = field(default_factory=Bounds)
    left_out: int = 0
    """How many were left out since somebody was told."""
    _waiting: deque[tuple[T, int, bool]] = field(default_factory=deque)
    _bytes: int = 0
    _spoke_at: float = float("-inf")

    def add(self, item: T, size: int, *, passing: bool = False) -> bool:
        """Whether it was taken. `passing`: it makes the one before it obsolete, if that is of its kind and still waits."""
        if passing and self._waiting and self._waiting[-1][2]:
            self._bytes -= self._waiting.pop()[1]
        if not self.fits(size):
            self.left_out += 1
            return False
        self._waiting.append((item, size, passing))
        self._bytes += size
        return True

    def fits(self, size: int) -> bool:
        return len(self._waiting) < self.bounds.most_items and self._bytes + size <= self.bounds.most_bytes

    @property
    def bytes(self) -> int:
        """Of all that waits."""
        return self._bytes

    @property
    def empty(self) -> bool:
        return not self._waiting

    @property
    def full(self) -> bool:
        return len(self._waiting) >= self.bounds.full_items or self._bytes >= self.bounds.full_bytes

    def due(self, now: float) -> float:
        """Seconds until the next message may go; 0 after a silence."""
        return max(0.0, self._spoke_at + PACE - now)

    def batch(self, now: float) -> Sequence[T]:
        """What goes next, which no longer waits."""
        self._spoke_at = now
        taken: list[T] = []
        size = 0
        while self._waiting and len(taken) < self.bounds.batch_items:
            if taken and size + self._waiting[0][1] > self.bounds.batch_bytes:
                break
            item, each, _ = self._waiting.popleft()
            taken.append(item)
            size += each
        self._bytes -= size
        return taken
