"""Minting of ids: unique without asking anyone, and sorted by time."""

from __future__ import annotations

import os
import time
from collections import deque
from typing import Final

from trunkline.contracts.ids import TaskId

_BYTES: Final = 10
_AT_ONCE: Final = 256
_tails: dict[int, deque[bytes]] = {}
"""Random tails by process, for a fork inherits; asked of the kernel many at once, for a call costs more than all the rest of an id."""


def new_id() -> str:
    """32 lower-case hex digits in the layout of UUID version 7 (RFC 9562)."""
    stamp = time.time_ns() // 1_000_000
    tail = _random()
    value = stamp << 80 | 0x7 << 76 | (tail >> 62) << 64 | 0b10 << 62 | (tail & ((1 << 62) - 1))
    return f"{value:032x}"


def _random() -> int:
    """74 bits. Popping is atomic, so no two threads are ever given the same."""
    tails = _tails.setdefault(os.getpid(), deque())
    while True:
        try:
            return int.from_bytes(tails.popleft()) >> 6
        except IndexError:
            fresh = os.urandom(_BYTES * _AT_ONCE)
            tails.extend(fresh[at : at + _BYTES] for at in range(0, len(fresh), _BYTES))


def new_task_id() -> TaskId:
    return TaskId(new_id())
