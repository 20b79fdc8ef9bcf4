"""How long a bench may take, and where it says how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """`quick` is for a smoke test: it shows that the bench works, its figures say little. `seconds` per measurement."""

    quick: bool
    say: Callable[[str], None]

    @property
    def rounds(self) -> int:
        return 1 if self.quick else 3

    @property
    def seconds(self) -> float:
        return 0.5 if self.quick else 1.5
