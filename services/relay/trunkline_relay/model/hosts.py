"""One host as one relay sees it: its slots, shared fairly by the webhooks that lead there, and whose turn it is.

Times are seconds on any clock that only goes forward.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple

from trunkline_relay.model.lines import AT_ONCE, FAILURES, FIRST_REST, QUICK, SLOW, Line, Sign

MOST_WAITING: Final = 5_000
"""Of one webhook; those beyond are left to their timers."""
LOOKS: Final = 8
"""At lines, for one that may be forgotten."""
AT_A_LOOK: Final = 200
"""Lines whose turn it might be; the next look goes on behind them, so that thousands cost no more."""
SPARED: Final = 1.0
"""Seconds before its timer fires in which one that waits is left to it: another relay may be shown it."""


class Key(NamedTuple):
    """A webhook at an address: at another one nothing is known of it."""

    tenant: str
    hook_id: str
    url: str


class Waiting(NamedTuple):
    """A delivery that was put off, as its timer names it."""

    delivery_id: str
    round: int
    tries: int
    until: float
    """When its timer fires."""


class Turn(NamedTuple):
    """A delivery that waited, and the request that has begun for it."""

    key: Key
    waiting: Waiting
    number: int


@dataclass(slots=True)
class Host:
    """Slots, and each webhook's line.

    Each line has a breaker of its own. Above them stands one of the host: when nothing there answers, it is probed by one line after the
    other, which is of no concern to a line that did not fail.
    """

    slots: int
    lines: OrderedDict[Key, Line] = field(default_factory=OrderedDict)
    """Those told last at the end."""
    under_way: int = 0
    silent: int = 0
    """Requests in a row that nobody answered, whichever line's."""
    probed_at: float = 0.0
    waits: int = 0
    """Deliveries that are remembered to wait."""
    _probes: set[int] = field(default_factory=set)
    """Requests under way."""
    _busy: dict[Key, Line] = field(default_factory=dict)
    _queues: OrderedDict[Key, OrderedDict[str, Waiting]] = field(default_factory=OrderedDict)
    """Of lines that something waits for; the one whose turn is next comes first."""
    _number: int = 0

    def free(self, key: Key, now: float) -> bool:
        """Whether a request of this line may begin now."""
        line = self.lines.get(key) or Line()
        return self.under_way < self.slots and not self._rests(line, now) and self._shares(line, now)

    def soon(self, key: Key, ahead: int, now: float) -> bool:
        """Whether there is room within a second for one more of this line, if all goes on as it did; `ahead` wait already."""
        line = self.lines.get(key) or Line()
        return not line.open and not line.slow(now) and (ahead + 1) * max(line.usual_s, QUICK) <= self.slots * SLOW

    def quick(self, key: Key, now: float) -> bool:
        """Whether it answers at once, as far as is known."""
        line = self.lines.get(key)
        return line is None or (not line.failures and line.longest(now) < AT_ONCE)

    def behind(self, key: Key, now: float) -> bool:
        """Whether one more has to wait behind others of its line: where slots come back soon, nobody needs to."""
        return key in self._queues and not (self.lines.get(key) or Line()).proven(now)

    def why_not(self, key: Key, now: float) -> str:
        """Why nothing of this line may begin now, as a part of a sentence."""
        line = self.lines.get(key) or Line()
        if line.open and self.silent >= FAILURES:
            return "nothing answers at its host, which is only probed now and then"
        if line.open:
            return "its address failed five times in a row, and is only probed now and then"
        if line.slow(now):
            return "its address is slow, and has as many requests under way as it may"
        return "its host has as many requests under way as it may"

    def begin(self, key: Key, now: float) -> int:
        """A request begins; its number is given back at the end."""
        self._number += 1
        line = self.lines.setdefault(key, Line())
        self.lines.move_to_end(key)
        self.under_way += 1
        if line.open:
            self._probes.add(self._number)
        line.begin(self._number, now)
        self._busy[key] = line
        return self._number

    def end(self, key: Key, number: int, now: float, *, sign: Sign, roll: float) -> None:
        """A request is over. `roll` is 0 to 1, by chance."""
        line = self.lines[key]
        probe = number in self._probes
        self.under_way -= 1
        self._probes.discard(number)
        line.end(number, now, sign, roll)
        if not line.begun:
            del self._busy[key]
        if sign is Sign.SILENT:
            self.silent += 1
            self.probed_at = now if probe else self.probed_at
        elif sign is not Sign.NOTHING:
            self._heard(line, now, probe)

    def wait(self, key: Key, waiting: Waiting) -> bool:
        """Remembers that a delivery waits. False: there is no room for that."""
        queue = self._queues.setdefault(key, OrderedDict())
        known = waiting.delivery_id in queue
        if len(queue) >= MOST_WAITING and not known:
            return False
        queue[waiting.delivery_id] = waiting
        self.waits += not known
        return True

    def turn(self, now: float) -> Turn | None:
        """Begins the request of the next that waits and may begin: line after line, in each the one that waits longest."""
        for _ in range(min(len(self._queues), AT_A_LOOK) if self.under_way < self.slots else 0):
            key = next(iter(self._queues))
            self._queues.move_to_end(key)
            if self.free(key, now) and (waiting := self._next(key, now)):
                return Turn(key, waiting, self.begin(key, now))
        return None

    def forget(self) -> int:
        """Forgets a line that was told long ago, if there is one with nothing under way and nothing waiting. How many: one or none."""
        for key in list(islice(self.lines, LOOKS)):
            if not self.lines[key].begun and key not in self._queues:
                del self.lines[key]
                return 1
            self.lines.move_to_end(key)
        return 0

    @property
    def idle(self) -> bool:
        """Nothing is under way, and nothing waits."""
        return not self.under_way and not self._queues

    def _next(self, key: Key, now: float) -> Waiting | None:
        queue = self._queues[key]
        found = None
        while queue and found is None:
            _, first = queue.popitem(last=False)
            self.waits -= 1
            found = first if first.until > now + SPARED else None
        if not queue:
            del self._queues[key]
        return found

    def _rests(self, line: Line, now: float) -> bool:
        if not line.open or self.silent < FAILURES:
            return line.resting(now)
        return line.resting(now) or bool(self._probes) or now < self.probed_at + FIRST_REST

    def _shares(self, line: Line, now: float) -> bool:
        """Lines that are not known to be quick have a quarter of the slots each and half of them together. The others have what they find,
        but where they have one already they leave a quarter to those that have none."""
        if not line.proven(now):
            return len(line.begun) < self._quarter and self._tardy(now) < max(self.slots // 2, 1)
        kept = min(len(self.lines) - len(self._busy), self.slots // 4) if line.begun else 0
        return self.under_way + kept < self.slots

    def _tardy(self, now: float) -> int:
        return sum(len(line.begun) for line in self._busy.values() if not line.proven(now))

    def _heard(self, line: Line, now: float, probe: bool) -> None:
        """Somebody answers there. When that was a probe of a host where nothing did, all others may probe."""
        for other in self.lines.values() if probe and self.silent >= FAILURES else ():
            if other is not line:
                other.open_until = min(other.open_until, now)
        self.silent = 0

    @property
    def _quarter(self) -> int:
        return max(self.slots // 4, 1)
