"""Who has a place among the named sandboxes of a tenant: noted before one is wanted, so that no two replicas give the last place away.

Pure. A note counts for a while only: by then every replica knows of the sandbox itself, or it never came to be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from json import dumps, loads
from typing import Final

NOTED_S: Final = 600.0
"""Far longer than a replica needs to hear of a sandbox."""
WANTED_WITHIN_S: Final = 120.0
"""Far longer than it takes from the note to the sandbox: a place that nobody took until then is free again."""


@dataclass(frozen=True, slots=True)
class Place:
    """Whose it is, and when it was noted, in epoch seconds."""

    user: str
    at: float


Places = Mapping[str, Place]
"""By the id of the sandbox."""


def mark(user: str) -> str:
    """Stands for a user in a note; nothing of what anybody wrote is in it."""
    return sha256(user.encode()).hexdigest()[:16]


def read(body: bytes) -> dict[str, Place]:
    """Raises ValueError for what none of us wrote."""
    return {id: Place(str(user), float(at)) for id, (user, at) in loads(body).items()} if body else {}


def written(places: Places) -> bytes:
    return dumps({id: [place.user, round(place.at, 3)] for id, place in places.items()}, separators=(",", ":")).encode()


def still(places: Places, now: float) -> dict[str, Place]:
    """Those notes that count."""
    return {id: place for id, place in places.items() if now - place.at < NOTED_S}


def untaken(place: Place, now: float) -> bool:
    """Whether a place that no sandbox came to is free again."""
    return now - place.at >= WANTED_WITHIN_S


def counts(users: Iterable[str], user: str) -> tuple[int, int]:
    """How many of this user, and in all."""
    all_ = list(users)
    return all_.count(user), len(all_)
