"""How much is tried: a short form for every change, and with `TRUNKLINE_LONG` (which `make campaigns` sets) a long one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
LONG = bool(os.environ.get("TRUNKLINE_LONG"))

KILLS = os.environ.get("TRUNKLINE_KILLS") == "all"
"""Everybody is killed at every moment; else each moment has one or two victims, which take turns."""


def part(every: Sequence[T], of: int, turn: int) -> list[T]:
    """All of it in the long form; else one in so many, beginning elsewhere with each turn, so that nothing is always left out."""
    return list(every) if LONG else [one for number, one in enumerate(every) if (number + turn) % of == 0]


def tries(short: int, long: int) -> int:
    """How many of something, by the form that was asked for."""
    return long if LONG else short
