"""Removing sandboxes that no run needs any more: at the start and every minute, so that a crash leaves nothing for long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from trunkline.bus import Log, WorkItem
from trunkline.contracts import subjects
from trunkline.contracts.errors import DomainError
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.task import ENDS
from trunkline_sandbox.handlers.image_host import BUILD
from trunkline_sandbox.handlers.named_host import NAMED
from trunkline_sandbox.handlers.run_log import RunLog
from trunkline_sandbox.handlers.steps import Steps
from trunkline_sandbox.handlers.wake import LookDue, Wake
from trunkline_sandbox.ports import Sandbox, SandboxProvider

log = structlog.get_logger()

EVERY: Final = 60.0


class Reap:
    def __init__(self, events: Log, provider: SandboxProvider, steps: Steps, wake: Wake, now: Callable[[], datetime]) -> None:
        self._events = events
        self._provider = provider
        self._steps = steps
        self._wake = wake
        self._now = now

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self.once()
                await self._steps.sweep()
            except DomainError as error:
                log.warning("reap.put_off", error=error.message)
            await asyncio.sleep(EVERY)

    async def once(self) -> None:
        for sandbox in await self._provider.list():
            if sandbox.labels.keys() & {NAMED, BUILD}:  # it has a life of its own
                continue
            try:
                await self._look_at(sandbox)
            except Exception as error:  # one that resists must not keep the others, nor end the service
                log.warning("reap.resisted", sandbox=sandbox.id, error=f"{type(error).__name__}: {error}")

    async def _look_at(self, sandbox: Sandbox) -> None:
        item = _item(sandbox)
        run = await RunLog(self._events, item, self._now).load() if item else None
        if item is None or run is None or run.attempt != item.attempt or run.over or await self._task_is_over(item):
            await self._steps.halt(sandbox.id)
            await self._steps.clear(sandbox.id, run.sitting if run else 1)
            log.info("sandbox.reaped", sandbox=sandbox.id)
        elif run.parked:  # after a restart nobody listens for it
            due = LookDue(tenant=item.tenant, task=item.task, attempt=item.attempt, round=run.parks, until=run.parked.until)
            self._wake.watch(due)

    async def _task_is_over(self, item: WorkItem) -> bool:
        """Then nobody goes on with the run, whatever its own last word was."""
        newest = await self._events.last(subjects.event(TenantId(item.tenant), TaskId(item.task), "task"))
        return newest is not None and any(isinstance(fact, ENDS) for fact in newest.record.facts)


def _item(sandbox: Sandbox) -> WorkItem | None:
    """What it is for; None when it does not say so."""
    labels = sandbox.labels
    if not labels.keys() >= {"tenant", "task", "attempt"}:
        return None
    return WorkItem(tenant=labels["tenant"], task=labels["task"], attempt=int(labels["attempt"]), pool="-", priority="-")
