"""Follow a spool: every line from the first on, then live ones, then the end."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from trunkline.contracts.errors import NotFound
from trunkline.contracts.ids import SandboxId
from trunkline_sandbox.adapters.providers.local import locks, reaping, spool
from trunkline_sandbox.adapters.providers.local.boxes import Boxes
from trunkline_sandbox.adapters.providers.local.handed import Handed
from trunkline_sandbox.ports import Exit, Line

_SOON, _LATE = 0.002, 0.015
"""Seconds between two looks: short while there is output, never so long that a line waits for it noticeably."""
_OVERDUE = 5.0
"""Seconds past its wall limit after which a runner is not trusted to end the run any more."""


@dataclass(frozen=True, slots=True)
class Follow:
    """One reader of one run."""

    boxes: Boxes
    id: SandboxId
    key: str

    async def lines(self) -> AsyncIterator[Line | Exit]:
        record, run = self.boxes.record(self.id), self.boxes.run(self.id, self.key)
        with Handed() as handed:
            fd = handed.open(run.spool, os.O_RDONLY)
            reader = spool.Reader(fd)
            wait = _SOON
            while True:
                alive = locks.held(fd)
                batch = reader.read()
                for frame in batch:
                    if not isinstance(frame, spool.Start):
                        yield frame
                    if isinstance(frame, Exit):
                        return
                wait = _SOON if batch else min(_LATE, wait * 1.5)
                if not batch and not alive:
                    await self._settle(fd)
                elif not batch and _overdue(fd, record.spec.limits.wall):
                    await asyncio.to_thread(self.boxes.stop, self.id, "wall")
                await asyncio.sleep(0 if batch else wait)

    async def _settle(self, fd: int) -> None:
        if spool.began(fd) is None:
            raise NotFound(f"Nothing was started in sandbox {self.id} under the key {self.key}.", code="RUN_NOT_FOUND")
        await asyncio.to_thread(reaping.settle, self.boxes.record(self.id), self.boxes.run(self.id, self.key))


def _overdue(fd: int, wall: float) -> bool:
    began = spool.began(fd)
    return began is not None and time.clock_gettime(time.CLOCK_BOOTTIME) - began.boottime > wall + _OVERDUE
