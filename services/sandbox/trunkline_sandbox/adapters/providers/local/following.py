"""Follow a spool: every line from the first on, then live ones, then the end."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from trunkline.contracts.errors import NotFound
from trunkline.contracts.ids import SandboxId
from trunkline_sandbox.adapters.providers.local import locks, reaping, spool, standing
from trunkline_sandbox.adapters.providers.local.boxes import Boxes
from trunkline_sandbox.adapters.providers.local.handed import Handed
from trunkline_sandbox.adapters.providers.local.ringing import Ring, ringing
from trunkline_sandbox.ports import Exit, Line

_SOON, _LATE, _RARELY = 0.002, 0.015, 0.1
"""Seconds between two looks: short while there is output, never so long that a line waits for it noticeably.

Rarely where the kernel rings."""
_OVERDUE = 5.0
"""Seconds past its wall limit after which a runner is not trusted to end the run any more."""


@dataclass(frozen=True, slots=True)
class Follow:
    """One reader of one run."""

    boxes: Boxes
    id: SandboxId
    key: str

    async def lines(self) -> AsyncIterator[Line | Exit]:
        """Ends after the Exit. Raises NotFound when nothing was started."""
        run = self.boxes.run(self.id, self.key)
        with Handed() as handed, ringing(run.spool) as ring:
            async for frame in self._frames(handed.open(run.spool, os.O_RDONLY), ring):
                if not isinstance(frame, spool.Start):
                    yield frame
                if isinstance(frame, Exit):
                    return

    async def _frames(self, fd: int, ring: Ring) -> AsyncIterator[spool.Frame]:
        reader = spool.Reader(fd)
        wait, longest = _SOON, _RARELY if ring.sure else _LATE
        while True:
            alive = locks.held(fd)
            batch = reader.read()
            for frame in batch:
                yield frame
            if batch:
                wait = _SOON
                await asyncio.sleep(0)
                continue
            await self._see_to_the_end(fd, alive)
            await ring.wait(wait)
            wait = min(longest, wait * 1.5)

    async def _see_to_the_end(self, fd: int, alive: bool) -> None:
        """Nothing new to read: whether there can still be more."""
        if not alive:
            await self._settle(fd)
        elif self._overdue(fd):
            await asyncio.to_thread(self._end)

    def _end(self) -> None:
        """Everything inside, where it is alone there; beside others, it and no other."""
        self.boxes.stop(self.id, self.key, "wall")
        self.boxes.end(self.id, self.key, "wall")

    def _overdue(self, fd: int) -> bool:
        wall, began = self.boxes.record(self.id).spec.limits.wall, spool.began(fd)
        if began is None or (late := time.clock_gettime(time.CLOCK_BOOTTIME) - began.boottime - wall - _OVERDUE) < 0:
            return False
        return late > standing.stood(self.boxes.run(self.id, self.key))

    async def _settle(self, fd: int) -> None:
        if spool.began(fd) is None:
            raise NotFound(f"Nothing was started in sandbox {self.id} under the key {self.key}.", code="RUN_NOT_FOUND")
        await asyncio.to_thread(reaping.settle, self.boxes.record(self.id), self.boxes.run(self.id, self.key))
