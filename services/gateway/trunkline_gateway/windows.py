"""Sliding windows as one process knows them: what is counted when nats-server cannot be asked, and what is said when it answers late."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final

CALLERS: Final = 10_000
"""That are remembered; beyond that, whoever was quiet for longest is forgotten."""


@dataclass(slots=True)
class Windows:
    """Exact for what this process saw. Times in seconds, on any clock that only goes on."""

    most: int = CALLERS
    _hits: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)

    def note(self, key: str, window_s: float, now: float) -> None:
        """One more hit, whoever let it in."""
        self._within(key, window_s, now).append(now)

    def take_back(self, key: str) -> None:
        """The newest hit was none."""
        if hits := self._hits.get(key):
            hits.pop()

    def admit(self, key: str, limit: int, window_s: float, now: float) -> bool:
        """Whether there is room for one more; if so, it is counted."""
        hits = self._within(key, window_s, now)
        if len(hits) >= limit:
            return False
        hits.append(now)
        return True

    def seen(self, key: str, window_s: float, now: float) -> tuple[int, float]:
        """How many hits the window holds, and in how many seconds the oldest leaves it."""
        hits = self._within(key, window_s, now)
        return len(hits), (hits[0] + window_s - now if hits else 0.0)

    def _within(self, key: str, window_s: float, now: float) -> deque[float]:
        hits = self._hits.setdefault(key, deque())
        self._hits.move_to_end(key)
        while hits and hits[0] <= now - window_s:
            hits.popleft()
        if len(self._hits) > self.most:
            self._hits.popitem(last=False)
        return hits


@dataclass(slots=True)
class Closed:
    """Who need not come before when."""

    most: int = CALLERS
    _until: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def note(self, key: str, until: float) -> None:
        self._until[key] = until
        self._until.move_to_end(key)
        if len(self._until) > self.most:
            self._until.popitem(last=False)

    def wait(self, key: str, now: float) -> float:
        """Seconds; 0 for whoever may come."""
        if not self._until or (until := self._until.get(key)) is None:
            return 0.0
        if until > now:
            return until - now
        del self._until[key]
        return 0.0
