"""Let a program stand still and go on, and know for how long it stood; its journal holds the wish and the runner's answer."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from trunkline.contracts.errors import Unavailable
from trunkline_sandbox.adapters.providers.local import journal, reaping
from trunkline_sandbox.adapters.providers.local.handed import Handed
from trunkline_sandbox.adapters.providers.local.places import Run

PATIENCE = 5.0
WISH = 8


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a program stands still. Times in milliseconds, `since` of CLOCK_BOOTTIME and 0 while it runs."""

    wished: bool
    since: int
    before: int

    def seconds(self) -> float:
        """How long it stood still in all."""
        now = time.clock_gettime(time.CLOCK_BOOTTIME) * 1000 - self.since if self.since else 0.0
        return (self.before + now) / 1000


def settle(run: Run, still: bool) -> None:
    """Returns when the program stands still, or goes on; or ended, or somebody else wished otherwise meanwhile. Raises Unavailable."""
    with Handed() as handed:
        fd = handed.open(run.journal, os.O_RDWR)
        journal.write(fd, int(still).to_bytes(8, "little"), WISH)
        journal.ring(run)
        end = time.monotonic() + PATIENCE
        while (now := read(fd)).wished == still and bool(now.since) != still and reaping.held(run):
            if time.monotonic() > end:
                raise Unavailable("The sandbox neither stands still nor goes on as it was told to; stop it.", code="SANDBOX_BUSY")
            time.sleep(0.002)


def stood(run: Run) -> float:
    """Seconds that the program stood still so far."""
    if not run.journal.exists():  # started by a version that let nobody stand still
        return 0.0
    with Handed() as handed:
        return read(handed.open(run.journal, os.O_RDONLY)).seconds()


def read(fd: int) -> Standing:
    """From the journal."""
    _, wish, since, before = journal.HEAD.unpack(os.pread(fd, journal.HEAD.size, 0))
    return Standing(bool(wish), since, before)
