"""The lanes of a pool, one for each priority: which of them is asked next, thought through without asking."""

from __future__ import annotations

from typing import Final

from trunkline.contracts.task import Priority

LANES: Final = tuple(lane.value for lane in Priority)
"""The most urgent first."""
SHARES: Final = ((16, "P3"), (8, "P2"), (4, "P1"))
"""At every nth take this lane is asked first: what waits in it is never starved, however much of the more urgent comes."""
SOON: Final = (0.003, 0.05)
"""Seconds until a lane whose bell rang is asked again though it seemed empty: nats-server rings before it may be ready to hand out."""
BELIEVED: Final = 1.0
"""Seconds for which a lane is thought empty: what comes back to it, because its carrier died or gave up, rings no bell."""


def search(turn: int) -> tuple[str, ...]:
    """In which order the lanes are asked for the nth take, counted from 1."""
    first = next((lane for every, lane in SHARES if turn % every == 0), LANES[0])
    return (first, *(lane for lane in LANES if lane != first))


class Lanes:
    """What one taker knows of the lanes. Times are seconds on any clock that only goes forward."""

    def __init__(self) -> None:
        self._empty_until = dict.fromkeys(LANES, 0.0)
        self._rung = dict.fromkeys(LANES, 0)
        """Bells whose messages neither came to us nor were found to be gone."""
        self._misses = dict.fromkeys(LANES, 0)
        self._turn = 1

    def ring(self, lane: str) -> None:
        """Something was put into the lane."""
        if lane in self._rung:
            self._rung[lane] += 1
            self._wake(lane)

    def doubt(self) -> None:
        """Any lane may hold something, as bells may have been missed."""
        for lane in LANES:
            self._wake(lane)

    def next(self, now: float) -> str | None:
        """The lane to ask; None: all are thought empty."""
        return next((lane for lane in search(self._turn) if self._empty_until[lane] <= now), None)

    def took(self, lane: str) -> None:
        """A message came out of the lane."""
        self._turn += 1
        self._rung[lane] = max(self._rung[lane] - 1, 0)
        self._misses[lane] = 0

    def emptied(self, lane: str, now: float) -> None:
        """The lane that was asked has nothing more, as far as the server says."""
        misses = self._misses[lane]
        if self._rung[lane] and misses < len(SOON):
            self._misses[lane] += 1
            self._empty_until[lane] = now + SOON[misses]
        else:  # others took it
            self._rung[lane] = 0
            self._empty_until[lane] = now + BELIEVED

    def quiet_until(self) -> float:
        """When the first lane is worth asking again, should no bell ring before."""
        return min(self._empty_until.values())

    def _wake(self, lane: str) -> None:
        self._misses[lane] = 0
        self._empty_until[lane] = 0.0
