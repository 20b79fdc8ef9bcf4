"""Removing sandboxes that no run needs any more: at the start and every minute, so that a crash leaves nothing for long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from trunkline.bus import Log, WorkItem
from trunkline.contracts.errors import DomainError
from trunkline_sandbox.handlers.run_log import RunLog
from trunkline_sandbox.handlers.steps import Steps
from trunkline_sandbox.ports import Sandbox, SandboxProvider

log = structlog.get_logger()

EVERY: Final = 60.0


class Reap:
    def __init__(self, events: Log, provider: SandboxProvider, steps: Steps, now: Callable[[], datetime]) -> None:
        self._events = events
        self._provider = provider
        self._steps = steps
        self._now = now

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self.once()
            except DomainError as error:
                log.warning("reap.put_off", error=error.message)
            await asyncio.sleep(EVERY)

    async def once(self) -> None:
        for sandbox in await self._provider.list():
            if not await self._needed(sandbox):
                await self._steps.halt(sandbox.id)
                await self._steps.clear(sandbox.id)
                log.info("sandbox.reaped", sandbox=sandbox.id)

    async def _needed(self, sandbox: Sandbox) -> bool:
        labels = sandbox.labels
        if not labels.keys() >= {"tenant", "task", "attempt"}:
            return False
        attempt = int(labels["attempt"])
        item = WorkItem(tenant=labels["tenant"], task=labels["task"], attempt=attempt, pool="-", priority="-")
        run = await RunLog(self._events, item, self._now).load()
        return run is not None and run.attempt == attempt and not run.over
