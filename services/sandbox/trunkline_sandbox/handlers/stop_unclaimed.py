"""A task of ours that is to stop while nobody carries it: its attempt is ended here, so that nobody can take it any more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from trunkline.bus import Log, Raced, Stored, WorkItem
from trunkline.contracts import subjects
from trunkline.contracts.record import Record
from trunkline.contracts.task import Executor, TaskAssigned, TaskStopRequested, TaskSubmitted
from trunkline_sandbox.handlers.run_log import RunLog
from trunkline_sandbox.handlers.wake import Clear
from trunkline_sandbox.model import stop_unclaimed


class StopUnclaimed:
    def __init__(self, log: Log, now: Callable[[], datetime], clear: Clear) -> None:
        self._log = log
        self._now = now
        self._clear = clear

    async def on(self, stored: Stored) -> None:
        if not _asks(stored.record):
            return
        names = subjects.parse_event(stored.subject)
        attempt = await self._attempt(stored.subject)
        if attempt is None:
            return
        run_log = RunLog(self._log, WorkItem(tenant=names.tenant, task=names.task, attempt=attempt, pool="-", priority="-"), self._now)
        run = await run_log.load()
        try:
            if facts := stop_unclaimed(run, attempt):
                await run_log.append(facts, "stop_unclaimed")
        except Raced:
            return  # it was claimed at this very moment; its owner sees the stop before the first step
        if run is not None and run.attempt == attempt and run.parked:
            await self._clear(names.task, run)

    async def _attempt(self, subject: str) -> int | None:
        """None: whoever carries it out is not ours, and says itself when it has stopped."""
        facts = [fact for stored in (await self._log.load(subject)).records for fact in stored.record.facts]
        if any(isinstance(fact, TaskSubmitted) and fact.assignment.executor is not Executor.SANDBOX for fact in facts):
            return None
        return max((fact.attempt for fact in facts if isinstance(fact, TaskAssigned)), default=1)


def _asks(record: Record) -> bool:
    return any(isinstance(fact, TaskStopRequested) for fact in record.facts)
