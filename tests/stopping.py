"""A process that stands still: the signal has been sent long before each of its threads has taken it, on a machine that is busy."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WITHIN = 20.0


@contextmanager
def standing_still(pid: int) -> Iterator[None]:
    """All of it, as long as the block lasts."""
    os.kill(pid, signal.SIGSTOP)
    try:
        until = time.monotonic() + WITHIN
        while not _stands(pid):
            assert time.monotonic() < until, "it does not stop"
            time.sleep(0.001)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _stands(pid: int) -> bool:
    return all(each.read_text().rpartition(")")[2].split()[0] == "T" for each in Path(f"/proc/{pid}/task").glob("*/stat"))
