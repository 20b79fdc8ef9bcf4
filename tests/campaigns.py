"""How much is tried: a short form for every change, and with `TRUNKLINE_LONG` (which `make campaigns` sets) a long one."""

from __future__ import annotations

import os

LONG = bool(os.environ.get("TRUNKLINE_LONG"))


def tries(short: int, long: int) -> int:
    """How many of something, by the form that was asked for."""
    return long if LONG else short
