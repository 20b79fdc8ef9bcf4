"""Alarms for the same second that are set at the same moment lie in one message: nats-server keeps few, however many tasks wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from trunkline.bus import Timers
from trunkline.contracts.errors import Unavailable
from trunkline.runtime.ids import new_id
from trunkline.telemetry.traces import apart, current
from trunkline_router.ports import DueTask, DueTasks

NEAR: Final = timedelta(seconds=30)
"""An alarm that is nearer rings to the millisecond, and so lies alone."""
GATHER: Final = 0.02
MOST: Final = 256


@dataclass(slots=True)
class _Batch:
    tasks: list[DueTask]
    waiting: list[asyncio.Future[None]] = field(default_factory=list)
    """Of everybody but whoever stores for all."""

    def over(self, error: Exception | None = None) -> None:
        for each in self.waiting:
            if each.done():  # whoever waited has left
                continue
            if error is None:
                each.set_result(None)
            else:
                each.set_exception(error)
                each.exception()  # who leaves now does not see it


class Alarms:
    """All alarms of one kind. Nothing is taken back: one that nobody needs any more finds that when it rings."""

    def __init__(self, timers: Timers, kind: str, now: Callable[[], datetime], near: timedelta = NEAR) -> None:
        self._timers = timers
        self._kind = kind
        self._now = now
        self._near = near
        self._open: dict[datetime, _Batch] = {}

    async def set(self, due: DueTask, at: datetime) -> None:
        """Returns when it is on disk. It rings at `at`, or less than a second later. Raises Unavailable."""
        if at - self._now() < self._near:
            await self._store((due,), at)
            return
        due = _in_its_trace(due)
        second = at.replace(microsecond=0) + timedelta(seconds=1)
        batch = self._open.get(second)
        if batch is None:
            await self._lead(second, _Batch([due]))
        else:
            await self._join(second, batch, due)

    def _join(self, second: datetime, batch: _Batch, due: DueTask) -> asyncio.Future[None]:
        """Done when it is on disk."""
        batch.tasks.append(due)
        batch.waiting.append(stored := asyncio.get_running_loop().create_future())
        if len(batch.tasks) >= MOST:
            del self._open[second]
        return stored

    async def _lead(self, second: datetime, batch: _Batch) -> None:
        """Whoever comes first waits a moment for others, and stores for all."""
        self._open[second] = batch
        try:
            await asyncio.sleep(GATHER)
            self._close(second, batch)
            await self._store(tuple(batch.tasks), second)
        except BaseException:
            self._close(second, batch)
            batch.over(Unavailable("the alarm could not be set; it is tried again", code="NOT_STORED"))
            raise
        batch.over()

    def _close(self, second: datetime, batch: _Batch) -> None:
        if self._open.get(second) is batch:
            del self._open[second]

    async def _store(self, tasks: tuple[DueTask, ...], at: datetime) -> None:
        if len(tasks) == 1:
            await self._put((_as_its_headers_say(tasks[0]),), at)
        else:
            # One for many goes on from nobody's trace: it would carry it, and what its sender put beside it, into tasks of other tenants.
            with apart():
                await self._put(tasks, at)

    async def _put(self, tasks: tuple[DueTask, ...], at: datetime) -> None:
        await self._timers.set(self._kind, new_id(), at, ("router", self._kind), DueTasks(tasks=tasks))


def _in_its_trace(due: DueTask) -> DueTask:
    """What it is a part of here, should it come to lie with others; an alarm that is set again stays where it was."""
    span = None if due.trace else current()
    return due.model_copy(update={"trace": span.traceparent}) if span else due


def _as_its_headers_say(due: DueTask) -> DueTask:
    return due.model_copy(update={"trace": ""}) if due.trace and current() else due
