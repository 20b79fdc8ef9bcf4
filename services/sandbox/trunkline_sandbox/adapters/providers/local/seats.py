"""Which processors a sandbox runs on, where no control group divides the processors' time."""

from __future__ import annotations

import hashlib
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


def count(cpus: float, all: int) -> int:
    """Whole processors of `all`, since half of one cannot be given this way; 0 is half of them, so that ours find some free."""
    return min(all, max(1, math.ceil(cpus) if cpus else all // 2))


def choose(id: str, cpus: float, allowed: Iterable[int], taken: Iterable[int]) -> tuple[int, ...]:
    """The processors on which the fewest sandboxes sit; among equals it goes by the id, as others may be choosing at the same time."""
    seats, load = sorted(allowed), Counter(taken)
    first = int.from_bytes(hashlib.sha256(id.encode()).digest()[:4], "big") % len(seats)
    order = sorted(range(len(seats)), key=lambda at: (load[seats[at]], (at - first) % len(seats)))
    return tuple(sorted(seats[at] for at in order[: count(cpus, len(seats))]))


@contextmanager
def seated(seats: tuple[int, ...]) -> Iterator[None]:
    """Keep what this thread starts on these processors; those that we may not use (any more) are replaced.

    By inheritance: to set them for a process of another user takes a right that root may lack, as in a container.
    """
    allowed = os.sched_getaffinity(0)
    missing = len(set(seats) - allowed)
    if seats:
        os.sched_setaffinity(0, {*seats} & allowed | {*sorted(allowed - set(seats))[:missing]})
    try:
        yield
    finally:
        if seats:
            os.sched_setaffinity(0, allowed)
