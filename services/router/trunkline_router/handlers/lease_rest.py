"""Tasks of a pool whose type nobody here takes now: for how long each rests, and which are wanted as soon as somebody comes for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from trunkline_router.ports import Handed

FIRST: Final = 0.25
"""Seconds for which a task rests that nobody takes, the first time; each time twice as long."""
RESTED: Final = 2.0
"""Seconds beyond which no rest grows where few tasks rest: for so long one may lie before an agent of another router sees it."""
LEAST_LOOKS, MOST_LOOKS = 100, 500
"""Looks a second at what rests in one line: where many do, each rests for longer than it would."""
MOST: Final = 2_000
"""Tasks that are remembered, those that came first; others rest all the same, and are looked at when their time is over."""


def rest_s(resting: int, times: int) -> float:
    """Seconds for one that was handed out so many times, beside so many others that rest."""
    return min(max(FIRST, resting / MOST_LOOKS) * 2.0 ** min(times - 1, 10), max(RESTED, resting / LEAST_LOOKS))


@dataclass(frozen=True, slots=True)
class _Rest:
    handed: Handed
    kind: str
    until: float


class Resting:
    """Of one pool of one tenant. Times are seconds on any clock that only goes forward."""

    def __init__(self) -> None:
        self._all: dict[int, _Rest] = {}
        """By their place in the queue."""
        self._ways: dict[tuple[str, str], set[int]] = {}
        """Their places, by lane and type."""

    def __len__(self) -> int:
        return len(self._all)

    def put(self, handed: Handed, kind: str, until: float) -> None:
        self.seen(handed.place)
        self._all[handed.place] = _Rest(handed, kind, until)
        self._ways.setdefault((handed.item.priority, kind), set()).add(handed.place)
        if len(self._all) > MOST:
            self.seen(max(self._all))

    def seen(self, place: int) -> str | None:
        """It came, or is to come: it rests no more. Its type, if it was remembered."""
        rest = self._all.pop(place, None)
        if rest is None:
            return None
        way = rest.handed.item.priority, rest.kind
        self._ways[way].discard(place)
        if not self._ways[way]:
            del self._ways[way]
        return rest.kind

    def wanted(self, wants: Callable[[str], bool], most: int, now: float) -> list[Handed]:
        """So many of the types that are wanted, the urgent first, each lane in the order in which it was filled: they rest no more."""
        found: list[Handed] = []
        for place in self._of(wants):
            if len(found) == most:
                break
            rest = self._all[place]
            self.seen(place)
            if rest.until > now:  # else it comes, or came, by itself
                found.append(rest.handed)
        return found

    def _of(self, wants: Callable[[str], bool]) -> Iterator[int]:
        lanes: dict[str, list[int]] = {}
        for (lane, kind), places in self._ways.items():
            if wants(kind):
                lanes.setdefault(lane, []).extend(places)
        for lane in sorted(lanes):
            yield from sorted(lanes[lane])
