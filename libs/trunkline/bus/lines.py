"""The lines of a pool, one for each tenant in each lane: which of them is asked next, thought through without asking."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from trunkline.bus.lanes import LANES, search
from trunkline.bus.shares import Turns
from trunkline.contracts.subjects import Line

SOON: Final = (0.003, 0.05)
"""Seconds until a line whose bell rang is asked again though it seemed empty: nats-server rings before it may be ready to hand out."""
BELIEVED: Final = 1.0
"""Seconds for which a line is thought empty: what comes back to it, because its carrier died or gave up, rings no bell."""
SELDOM: Final = 5.0
"""Seconds between two looks at what is held, once looks tell what is known already. Bells and each line's own second tell of nearly
everything; all that is left for a look is a bell that nobody heard though its connection stayed, and lines that hold nothing any more."""
SILENT: Final = 1.0
"""Seconds after a question that had no answer until one of the lines that gave none is asked again, whatever rings there."""
LOOKS: Final = 32
"""Lines asked in a second without a bell; where more hold something that is carried, each is believed for longer."""


@dataclass(slots=True)
class _Line:
    empty_until: float = 0.0
    rung: int = 0
    """Bells whose messages neither came to us nor were found to be gone."""
    misses: int = 0
    behind: int = 0
    """Messages that lay behind the last one that we took, as the server said."""

    def wake(self) -> None:
        self.misses = 0
        self.empty_until = 0.0


class Lines:
    """What one taker knows of the lines. Times are seconds on any clock that only goes forward."""

    def __init__(self, weights: Mapping[str, float] | None = None, chance: Callable[[], float] = random.random) -> None:
        """`chance`: any number from 0 to 1, so that many takers do not look at once."""
        self._lanes: dict[str, dict[str, _Line]] = {lane: {} for lane in LANES}
        """Those that may hold something, in the order in which they were heard of."""
        self._turns = {lane: Turns(weights) for lane in LANES}
        self._turn = 1
        self._look_at = 0.0
        self._look_after = BELIEVED
        self._chance = chance
        self._silent: dict[Line, None] = {}
        """Those that did not answer when they were asked last, the longest ago first."""
        self._try_at = 0.0

    def ring(self, line: Line) -> None:
        """Something was put into the line."""
        if line.lane in self._lanes:
            known = self._known(line)
            known.rung += 1
            known.wake()

    def doubt(self) -> None:
        """Any line may hold something, as bells may have been missed."""
        self._look_at = 0.0
        self._look_after = BELIEVED
        self._silent.clear()
        for _, known in self._all():
            known.wake()

    def looks(self, now: float) -> bool:
        """Whether it is time to ask which lines hold anything."""
        return now >= self._look_at

    def held(self, lines: Iterable[Line] | None, now: float) -> None:
        """The answer: these hold messages, be they waiting or carried. None: there was no answer."""
        if lines is None:
            self._look_at = now + BELIEVED
            return
        holding = {line for line in lines if line.lane in self._lanes}
        news = holding != {line for line, _ in self._all()}
        self._look_after = BELIEVED if news else min(2 * self._look_after, SELDOM)
        self._look_at = now + max(self._look_after * (1 - self._chance() / 4), BELIEVED)
        for line in [line for line, known in self._all() if line not in holding and not known.rung]:
            del self._lanes[line.lane][line.tenant]
            self._silent.pop(line, None)
        for line in sorted(holding):
            self._known(line)

    def next(self, now: float) -> Line | None:
        """The line to ask; None: all are thought empty, or do not answer."""
        if self._silent and now >= self._try_at:
            return next(iter(self._silent))
        for lane in search(self._turn):
            waiting = [tenant for tenant, known in self._lanes[lane].items() if known.empty_until <= now]
            if self._silent:
                waiting = [tenant for tenant in waiting if Line(lane, tenant) not in self._silent]
            if waiting:
                return Line(lane, self._turns[lane].next(waiting))
        return None

    def waiting(self, line: Line) -> int:
        """How many messages of the line there may be, one at least."""
        known = self._known(line)
        return max(known.rung, known.behind, 1)

    def took(self, line: Line, behind: int = 0) -> None:
        """A message came out of the line, and so many lay behind it."""
        self._turn += 1
        self._turns[line.lane].took(line.tenant)
        self.spoke(line)
        known = self._known(line)
        known.rung = max(known.rung - 1, 0)
        known.misses = 0
        known.behind = behind

    def emptied(self, line: Line, now: float) -> None:
        """The line that was asked has nothing more, as far as the server says."""
        self.spoke(line)
        known = self._known(line)
        known.behind = 0
        if known.rung and known.misses < len(SOON):
            known.empty_until = now + SOON[known.misses]
            known.misses += 1
        else:  # others took it
            known.rung = 0
            known.empty_until = now + BELIEVED * max(1.0, sum(map(len, self._lanes.values())) / LOOKS)

    def silent(self, line: Line, now: float) -> None:
        """The line that was asked did not answer: whoever waits for it keeps the others waiting, so they are asked before it is again."""
        self._known(line)
        self._silent.pop(line, None)
        self._silent[line] = None
        self._try_at = now + SILENT

    def spoke(self, line: Line) -> None:
        """Something came from there, be it late."""
        self._silent.pop(line, None)

    @property
    def some_silent(self) -> bool:
        """Whether it is to be feared that a question has no answer."""
        return bool(self._silent)

    def quiet_until(self) -> float:
        """When it is worth asking again, should no bell ring before."""
        asked = [known.empty_until for line, known in self._all() if line not in self._silent]
        return min([self._look_at, *asked, *([self._try_at] if self._silent else [])])

    def _known(self, line: Line) -> _Line:
        return self._lanes[line.lane].setdefault(line.tenant, _Line())

    def _all(self) -> Iterator[tuple[Line, _Line]]:
        for lane, lines in self._lanes.items():
            for tenant, known in lines.items():
                yield Line(lane, tenant), known
