"""One webhook at its host as one relay sees it: whether it is quick, slow or failing, and when it is probed.

Times are seconds on any clock that only goes forward.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

FAILURES: Final = 5
"""In a row, after which nothing is sent but a probe now and then."""
FIRST_REST: Final = 10.0
LONGEST_REST: Final = 60.0
"""A probe a minute is no burden, and what waits comes soon after a recovery."""
SLOW: Final = 1.0
"""Seconds after which one that lets us wait is slow: it gets a quarter of its host's slots, and nobody waits for one."""
QUICK: Final = 0.02
"""Seconds that are reckoned with at least, also for one that nobody has told anything yet."""
AT_ONCE: Final = 0.25
WEIGHT: Final = 0.2


class Sign(Enum):
    """What a request says of whoever was asked."""

    WELL = auto()
    ILL = auto()
    """Somebody answered that something is not well there."""
    SILENT = auto()
    """Nobody answered."""
    NOTHING = auto()


@dataclass(slots=True)
class Line:
    """Its breaker, and how it answers."""

    usual_s: float = 0.0
    """How long it takes, the newest answers weighing most."""
    answered: bool = False
    open_until: float = 0.0
    failures: int = 0
    rests: int = 0
    probe: int = 0
    """The request by which it is tried while it rests; 0 when there is none."""
    begun: dict[int, float] = field(default_factory=dict)
    """When each request that is under way began."""

    @property
    def open(self) -> bool:
        """Whether its breaker lets nothing but probes through."""
        return self.failures >= FAILURES

    @property
    def probed(self) -> bool:
        return self.probe in self.begun

    def resting(self, now: float) -> bool:
        """Whether its breaker lets nothing through, not even a probe."""
        return self.open and (now < self.open_until or self.probed)

    def longest(self, now: float) -> float:
        """Seconds that it usually takes, or has taken already."""
        return max(self.usual_s, now - next(iter(self.begun.values()), now))

    def slow(self, now: float) -> bool:
        return self.longest(now) > SLOW

    def proven(self, now: float) -> bool:
        """Whether it has shown that it gives its slots back soon."""
        return self.answered and not self.open and not self.slow(now)

    def begin(self, number: int, now: float) -> None:
        self.begun[number] = now
        self.probe = number if self.open else 0

    def end(self, number: int, now: float, sign: Sign, roll: float) -> None:
        """A request is over. `roll` is 0 to 1, by chance."""
        late = self.open and number != self.probe
        took = now - self.begun.pop(number)
        if sign is Sign.NOTHING:
            return
        self.usual_s += (took - self.usual_s) * (WEIGHT if self.usual_s else 1.0)
        self.answered = self.answered or sign is not Sign.SILENT
        if sign is Sign.WELL:
            self.failures = self.rests = 0
        elif not late:  # one that was under way when the breaker opened tells nothing new
            self._failed(now, roll)

    def _failed(self, now: float, roll: float) -> None:
        self.failures += 1
        if self.open:
            self.open_until = now + min(FIRST_REST * 2.0 ** min(self.rests, 20), LONGEST_REST) * (1 + roll)
            self.rests += 1
