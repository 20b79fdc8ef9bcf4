"""Minting of ids: unique without asking anyone, and sorted by time."""

from __future__ import annotations

import secrets
import time

from trunkline.contracts.ids import TaskId


def new_id() -> str:
    """32 lower-case hex digits in the layout of UUID version 7 (RFC 9562)."""
    stamp = time.time_ns() // 1_000_000
    tail = secrets.randbits(74)
    value = stamp << 80 | 0x7 << 76 | (tail >> 62) << 64 | 0b10 << 62 | (tail & ((1 << 62) - 1))
    return f"{value:032x}"


def new_task_id() -> TaskId:
    return TaskId(new_id())
