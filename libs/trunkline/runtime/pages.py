"""Large pages under the memory of a process that lives long: what is rarely touched is then found at once."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LARGE: Final = 2 << 20
"""Bytes, on every processor that we run on."""
PASSES: Final = (5.0, 60.0, 600.0)
"""Seconds before each look: what lives shorter is not worth one, and what grew meanwhile comes with the next."""
_COLLAPSE: Final = 25
"""MADV_COLLAPSE of <asm-generic/mman-common.h>, since Linux 6.1."""
_MAPS: Final = Path("/proc/self/maps")


def enlarge_soon() -> None:
    """In a thread of its own, which ends with the process."""
    threading.Thread(target=_passes, name="pages", daemon=True).start()


def _passes() -> None:
    for wait in PASSES:
        time.sleep(wait)
        enlarge()


def enlarge() -> int:
    """Lay what this process has written on large pages; how many lie so now. Where the system has none, nothing changes: it is advice."""
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return sum(advise(page, LARGE, _COLLAPSE) == 0 for page in _whole_pages())


def _whole_pages() -> Iterator[int]:
    """Addresses in memory of our own that no file stands behind; not of stacks, which are short."""
    try:
        lines = _MAPS.read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        span, rights, _, _, inode, *name = line.split(maxsplit=5)
        if rights == "rw-p" and inode == "0" and (not name or name[0] == "[heap]"):
            begin, end = (int(edge, 16) for edge in span.split("-"))
            yield from range(-(-begin // LARGE) * LARGE, end - LARGE + 1, LARGE)
