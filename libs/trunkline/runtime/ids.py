"""Minting of ids: unique without asking anyone, and sorted by time."""

from __future__ import annotations

import os
import re
import time
from collections import deque
from datetime import UTC, datetime
from typing import Final

from trunkline.contracts.ids import TaskId

_DIGITS: Final = 20
_AT_ONCE: Final = 256
_VARIANT: Final = {f"{digit:x}": "89ab"[digit & 3] for digit in range(16)}
_MINTED: Final = re.compile(r"[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}")
_tails: dict[int, deque[str]] = {}
"""All of an id but its time, by process, for a fork inherits; made many at once, for asking the kernel costs more than all the rest."""


def new_id() -> str:
    """32 lower-case hex digits in the layout of UUID version 7 (RFC 9562)."""
    return f"{time.time_ns() // 1_000_000:012x}{_tail()}"


def minted_at(id: str) -> datetime | None:
    """By the clock of whoever minted it; None for what is no id as `new_id` makes them."""
    try:
        return datetime.fromtimestamp(int(id[:12], 16) / 1000, UTC) if _MINTED.fullmatch(id) else None
    except (ValueError, OverflowError):  # further ahead than there are years
        return None


def _tail() -> str:
    """74 random bits. Popping is atomic, so no two threads are ever given the same."""
    tails = _tails.get(os.getpid()) or _tails.setdefault(os.getpid(), deque())
    while True:
        try:
            return tails.popleft()
        except IndexError:
            fresh = os.urandom(_DIGITS // 2 * _AT_ONCE).hex()
            tails.extend(_laid_out(fresh[at : at + _DIGITS]) for at in range(0, len(fresh), _DIGITS))


def _laid_out(digits: str) -> str:
    """The version, 12 random bits, the variant and 62 more."""
    return f"7{digits[:3]}{_VARIANT[digits[3]]}{digits[4:19]}"


def new_task_id() -> TaskId:
    return TaskId(new_id())
