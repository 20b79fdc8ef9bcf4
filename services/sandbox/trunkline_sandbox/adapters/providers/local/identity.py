"""Which user a sandbox runs as: one of its own when we are root, ourselves when we are not."""

from __future__ import annotations

from collections.abc import Iterable

FIRST = 200_000
"""Above what distributions give to people and services."""
COUNT = 5_000


def first_uid(uid_map: str) -> int:
    """The first uid for sandboxes under the given /proc/self/uid_map: 200000, or the top of a smaller range (as in a container)."""
    ends = [int(inside) + int(count) for inside, _, count in (line.split() for line in uid_map.splitlines() if line.strip())]
    top = max(ends, default=FIRST + COUNT)
    return min(FIRST, max(1, top - COUNT - 1))


def free_uid(first: int, taken: Iterable[int | None]) -> int | None:
    """The lowest uid that no sandbox holds; None when all are held."""
    held = set(taken)
    return next((uid for uid in range(first, first + COUNT) if uid not in held), None)
