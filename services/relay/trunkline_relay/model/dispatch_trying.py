"""What one request to GitHub means for the dispatch that it was made for, and when the next one is made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trunkline.contracts.dispatch import Outcome

TRIES: Final = 6
JITTER: Final = 0.2
LONGEST_WAIT_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds. Tests take others."""

    tries: tuple[float, ...] = (2, 10, 30, 60, 120)
    """Before a request is made again of which nothing came."""
    doubt: float = 20.0
    """Before it is looked whether anything came of a request, and between two looks that have to find nothing."""
    flight: float = 60.0
    """A request takes no longer; so long ago, and nothing known of it: whoever sent it is gone."""
    looks: tuple[float, ...] = (5, 10, 20, 30, 60)
    """Between looks at a run, the last for ever."""
    told: float = 300.0
    """The same while GitHub tells by itself, or nobody waits."""
    gap: float = 1.0
    """Between two changes of one account, as GitHub wants it."""
    refused: float = 1.0
    """Before a refusal of a question is believed, it is heard again after that."""
    call: float = 30.0
    """For one call to be answered."""
    leave: float = 30.0
    """For a run to end by itself whose agent said that it gave up: it is about to, and would be told of as cancelled."""

    @property
    def in_flight(self) -> timedelta:
        return timedelta(seconds=self.flight)

    @property
    def to_leave(self) -> timedelta:
        return timedelta(seconds=self.leave)

    def after_try(self, number: int, roll: float) -> timedelta:
        """`roll` is 0 to 1, by chance."""
        return _shaken(self.tries[min(number, len(self.tries)) - 1], roll)

    def before_look(self, look: int, roll: float, *, rare: bool) -> timedelta:
        return _shaken(self.told if rare else self.looks[min(look, len(self.looks) - 1)], roll)


PAUSES: Final = Pauses()


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a request."""

    outcome: Outcome
    status: int | None = None
    error: str = ""
    limited: bool = False
    """GitHub wants to be left alone: nothing was done."""
    retry_after: float | None = None

    @property
    def absent(self) -> bool:
        """Whether it is proven that nothing came of it, and something may come of the next one."""
        return self.outcome is Outcome.CONNECTION_ERROR or (self.limited and self.outcome is Outcome.REQUEST_FAILED)


def again_at(answered: Answered, number: int, at: datetime, pauses: Pauses, roll: float) -> datetime | None:
    """When it is tried again, or looked what came of it; None: never."""
    if answered.outcome in (Outcome.TIMEOUT, Outcome.ERROR):
        return at + timedelta(seconds=max(pauses.doubt, _told(answered)))
    if not answered.absent:
        return None
    return at + max(pauses.after_try(number, roll), timedelta(seconds=_told(answered)))


def cancel_again_at(answered: Answered, number: int, at: datetime, pauses: Pauses, roll: float) -> datetime | None:
    """Cancelling twice harms nobody: only a refusal ends it."""
    final = answered.outcome is Outcome.REQUEST_FAILED and not answered.limited
    if final or answered.outcome is Outcome.ACCEPTED or number >= TRIES:
        return None
    return at + max(pauses.after_try(number, roll), timedelta(seconds=_told(answered)))


def _told(answered: Answered) -> float:
    return min(answered.retry_after or 0.0, LONGEST_WAIT_S)


def _shaken(seconds: float, roll: float) -> timedelta:
    return timedelta(seconds=seconds * (1 + JITTER * (2 * roll - 1)))
