"""The lanes of a pool, one for each priority: at which turn which of them comes first."""

from __future__ import annotations

from typing import Final

from trunkline.contracts.task import Priority

LANES: Final = tuple(lane.value for lane in Priority)
"""The most urgent first."""
SHARES: Final = ((16, "P3"), (8, "P2"), (4, "P1"))
"""At every nth take this lane is asked first: what waits in it is never starved, however much of the more urgent comes."""


def search(turn: int) -> tuple[str, ...]:
    """In which order the lanes are asked for the nth take, counted from 1."""
    first = next((lane for every, lane in SHARES if turn % every == 0), LANES[0])
    return (first, *(lane for lane in LANES if lane != first))
