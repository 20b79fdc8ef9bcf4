"""Decides whether something that failed is asked again, and after how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trunkline.sdk.answering import Answer, Lost, seconds_of

REPEATABLE: Final = frozenset({"GET", "HEAD", "PUT", "POST"})
"""What may be asked twice: a POST of ours always has a key by which the gateway knows the repeat."""
AGAIN: Final = frozenset({429, 502, 503, 504})
FIRST_TRIES: Final = 3
"""How often nobody may answer before anybody ever did: a wrong address is soon said to be one."""
RETRY_FOR: Final = 30.0
"""Seconds."""
NOT_BEGUN: Final = frozenset({429, 503})
"""Refusals that say that nothing was done."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long one call is tried, in seconds; a limit that ends later is told and not waited out."""

    tries: int = 20
    seconds: float = RETRY_FOR
    first: float = 0.2
    longest: float = 5.0

    def backoff(self, tries: int, luck: float) -> float:
        """Seconds after that many failures; `luck` between 0 and 1 keeps many clients apart. Pure."""
        return min(self.first * 2.0 ** min(tries - 1, 30), self.longest) * (0.5 + luck / 2)


@dataclass(frozen=True, slots=True)
class Tried:
    """What was tried so far: how often, how many seconds were waited between, and whether anybody ever answered."""

    method: str
    tries: int
    waited: float = 0.0
    met: bool = True


def pause(patience: Patience, tried: Tried, came: Answer | Lost, luck: float) -> float | None:
    """Seconds until it is asked again; None when what came is what there is. Pure."""
    tries = patience.tries if tried.met else min(FIRST_TRIES, patience.tries)
    if tried.tries >= tries or not may_help(tried.method, came):
        return None
    asked = seconds_of(came.headers) if isinstance(came, Answer) else None
    seconds = patience.backoff(tried.tries, luck)
    if asked is not None:
        seconds = max(seconds, asked + min(asked / 10, 1.0) * luck)
    return seconds if tried.waited + seconds <= patience.seconds else None


def may_help(method: str, came: Answer | Lost) -> bool:
    """Whether asking again can end otherwise, and cannot do a thing twice. Pure."""
    if isinstance(came, Lost):
        return not came.sent or method in REPEATABLE
    if came.status == 409:  # the first of two with the same key is still being answered
        return method == "POST" and "retry-after" in came.headers
    return came.status in (AGAIN if method in REPEATABLE else NOT_BEGUN)
