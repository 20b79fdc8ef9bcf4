"""Python's memory, set for a process that lives long and makes many short-lived objects."""

from __future__ import annotations

import gc
from typing import Final

from trunkline.runtime.pages import enlarge_soon

YOUNG: Final = 50_000
"""New objects before a look at them; at the default of 700, looks cost some 4 % of the processor under load, and found next to nothing."""


def calm() -> None:
    """Look for garbage more rarely, and never again at what was made while starting; find what is rarely used without going far."""
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 100)
    enlarge_soon()
