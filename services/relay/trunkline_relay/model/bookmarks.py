"""Where a page ends and the next begins: an order and the key of the last thing shown, as one text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from trunkline.contracts.errors import Invalid
from trunkline.contracts.views import TaskSort

OPEN: Final = "open"
ENDED: Final = "ended"

_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PRIORITY: Final = re.compile(r"P[0-3]")
_KEYS: Final[Mapping[str, Sequence[re.Pattern[str]]]] = {
    TaskSort.NEWEST: (_NUMBER, _NAME),
    TaskSort.OLDEST: (_NUMBER, _NAME),
    TaskSort.UPDATED: (_NUMBER, _NAME),
    TaskSort.PRIORITY: (_PRIORITY, _NUMBER, _NAME),
    OPEN: (_NUMBER, _NAME, _NAME),
    ENDED: (_NUMBER, _NAME, _NAME),
}

Key = Sequence[str | int]


def write(order: str, key: Key) -> str:
    return ".".join((order, *map(str, key)))


def read(order: str, text: str | None) -> tuple[str | int, ...]:
    """The key that `write` was given, empty for no text. Raises Invalid for any text that `write` does not give for this order."""
    if text is None:
        return ()
    name, *key = text.split(".")
    kinds = _KEYS[order]
    if name != order or len(key) != len(kinds) or not all(kind.fullmatch(part) for kind, part in zip(kinds, key, strict=True)):
        raise Invalid("this cursor is not one of this list and this order; begin without one", code="BAD_CURSOR")
    return tuple(int(part) if kind is _NUMBER else part for kind, part in zip(kinds, key, strict=True))
