"""Keeps a stream whole over breaks: what was seen already, when to connect again, and when it is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import Invalid
from trunkline.sdk.answering import Answer, seconds_of
from trunkline.sdk.retrying import Patience

LIVED: Final = 5.0
"""Seconds: a connection that held so long was a good one, though nothing happened on it."""
SOON: Final = 0.1
"""Seconds within which a connection that did some good is made again: readers of one gateway come back one after the other."""


@dataclass(slots=True)
class Place:
    """The last event seen. After a gap, which has no id, everything is told anew."""

    seen: str = ""

    def passes(self, id: str) -> bool:
        """Whether an event of that id is news, and from now on it is not. Pure but for what it remembers."""
        if not id:
            return True
        if self.seen and _before(id, self.seen):
            return False
        self.seen = id
        return True

    def lost(self) -> None:
        """A gap: the log tells all that it holds, from its beginning."""
        self.seen = ""


def _before(id: str, seen: str) -> bool:
    """Whether `id` is `seen`, or an earlier one of the same log."""
    if id == seen:
        return True
    try:
        one, other = Cursor.parse(id), Cursor.parse(seen)
    except Invalid:
        return False
    return one.epoch == other.epoch and one < other


@dataclass(slots=True)
class Trying:
    """How connecting goes. `silence`: seconds for which nothing may come of all tries together before it is given up."""

    patience: Patience
    silence: float
    failures: int = 0
    since: float | None = None
    """When the first of the tries that came to nothing was made, by a clock of seconds."""

    def lived(self, began: float, now: float, events: int) -> None:
        """A connection is over: did it do any good?"""
        if events or now - began > LIVED:
            self.failures, self.since = 0, None

    def pause(self, now: float, came: Answer | None, luck: float) -> float | None:
        """Seconds until the next try; None when it is given up."""
        self.since = now if self.since is None else self.since
        self.failures += 1
        seconds = SOON * luck if self.failures == 1 else self.patience.backoff(self.failures - 1, luck)
        if came is not None and (asked := seconds_of(came.headers)) is not None:
            seconds = max(seconds, asked * (1 + luck / 10))
        return seconds if now + seconds - self.since <= self.silence else None


def comes_back(answer: Answer) -> bool:
    """Whether a stream that was refused so may be given later. Pure."""
    return answer.status == 429 or answer.status >= 500
