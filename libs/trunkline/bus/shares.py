"""Whose turn it is among tenants that wait for the same: each has as many turns as its weight says, however much it brings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Turns:
    """Start-time fair queueing. A turn lasts one divided by the weight of whoever has it; who began earliest is next.

    Who comes after a pause begins now, and saves nothing up. Who comes back at once has not been forgotten.
    """

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        self._weights = weights or {}
        self._now = 0.0
        self._ends: dict[str, float] = {}
        """Where the last turn of each ends that had more than others by now."""
        self._last = ""

    def next(self, waiting: Iterable[str]) -> str:
        """Of those who wait; among equals the first named, but not twice the same."""
        return min(waiting, key=lambda who: (self._begins(who), who == self._last))

    def took(self, who: str) -> None:
        """The turn was theirs."""
        self._last, self._now = who, self._begins(who)
        self._ends[who] = self._now + 1 / self._weights.get(who, 1.0)
        for idle in [each for each, end in self._ends.items() if end <= self._now]:
            del self._ends[idle]

    def _begins(self, who: str) -> float:
        return max(self._ends.get(who, 0.0), self._now)
