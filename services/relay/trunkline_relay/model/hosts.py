"""One host as one relay sees it: how much goes there at once, whether it is slow, and whether it is left alone for a while.

Times are seconds on any clock that only goes forward.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

FAILURES: Final = 5
"""In a row, after which nothing is sent but a probe now and then."""
FIRST_REST: Final = 10.0
LONGEST_REST: Final = 300.0
SLOW: Final = 1.0
"""Seconds after which a host that lets us wait gets a quarter of the slots, and nobody waits for one."""
QUICK: Final = 0.02
"""Seconds that are reckoned with at least, also for a host that nobody has told anything yet."""
AT_ONCE: Final = 0.25
WEIGHT: Final = 0.2


@dataclass(slots=True)
class Host:
    """Slots and breaker of one host."""

    slots: int
    usual_s: float = 0.0
    """How long it takes, the newest answers weighing most."""
    open_until: float = 0.0
    failures: int = 0
    rests: int = 0
    probe: int = 0
    """The request by which a resting host is tried; 0 when there is none."""
    begun: dict[int, float] = field(default_factory=dict)
    """When each request that is under way began."""
    _number: int = 0

    def free(self, now: float) -> bool:
        """Whether a request may begin now."""
        return len(self.begun) < (max(self.slots // 4, 1) if self.slow(now) else self.slots) and not self.resting(now)

    def resting(self, now: float) -> bool:
        """Whether its breaker lets nothing through."""
        return self.failures >= FAILURES and (now < self.open_until or self.probe in self.begun)

    def slow(self, now: float) -> bool:
        oldest = next(iter(self.begun.values()), now)
        return max(self.usual_s, now - oldest) > SLOW

    def soon(self, waiting: int, now: float) -> bool:
        """Whether there is room within a second for one more that waits, if it goes on as it did."""
        return not self.resting(now) and not self.slow(now) and (waiting + 1) * max(self.usual_s, QUICK) <= self.slots * SLOW

    def quick(self, now: float) -> bool:
        """Whether it answers at once, as far as is known."""
        oldest = next(iter(self.begun.values()), now)
        return not self.failures and max(self.usual_s, now - oldest) < AT_ONCE

    def begin(self, now: float) -> int:
        """A request begins; its number is given back at the end."""
        self._number += 1
        self.begun[self._number] = now
        self.probe = self._number if self.failures >= FAILURES else 0
        return self._number

    def end(self, number: int, now: float, *, well: bool | None, roll: float) -> None:
        """A request is over; None: nothing was learned. `roll` is 0 to 1, by chance."""
        took = now - self.begun.pop(number)
        if well is None:
            return
        self.usual_s += (took - self.usual_s) * (WEIGHT if self.usual_s else 1.0)
        if well:
            self.failures = self.rests = 0
            return
        late = self.failures >= FAILURES and number != self.probe
        if late:  # it was under way when the breaker opened, and tells nothing new
            return
        self.failures += 1
        if self.failures >= FAILURES:
            self.open_until = now + min(FIRST_REST * 2.0 ** min(self.rests, 20), LONGEST_REST) * (1 + roll)
            self.rests += 1

    @property
    def idle(self) -> bool:
        """Nothing would be lost by forgetting it."""
        return not self.begun and not self.failures
