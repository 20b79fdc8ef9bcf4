"""A bounded memory of what was learnt: the least asked for gives way."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Generic, TypeVar

T = TypeVar("T")

KEPT: Final = 10_000


class Lately(Generic[T]):
    """What was learnt, by name, and when (seconds on any clock that only goes on); the least asked for gives way."""

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._known: OrderedDict[bytes, tuple[T, float]] = OrderedDict()

    def get(self, name: bytes) -> tuple[T, float] | None:
        found = self._known.get(name)
        if found is not None:
            self._known.move_to_end(name)
        return found

    def put(self, name: bytes, what: T, at: float) -> None:
        self._known[name] = what, at
        self._known.move_to_end(name)
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    def drop(self, name: bytes) -> None:
        self._known.pop(name, None)

    def __len__(self) -> int:
        return len(self._known)
