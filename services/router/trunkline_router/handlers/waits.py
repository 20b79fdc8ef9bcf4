"""Whether the run of a task waits for people: read from the run's own facts in their order, however its news came to be heard."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Final
from weakref import WeakValueDictionary

from trunkline.bus import Log, Stored
from trunkline.contracts import subjects
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Fact
from trunkline.contracts.run import RunGoesOn, RunWaits
from trunkline.runtime.actor import Actor
from trunkline_router.handlers.task_life import TaskLife
from trunkline_router.model import Cue, Happening, RunGoing, RunWaiting, Task
from trunkline_router.ports import DueTask

RUN: Final = "run"


class Waits:
    """News comes more than once, and not in order: what was missed is read again, and what was heard is passed over by its place."""

    def __init__(self, actor: Actor[Task, tuple[Cue, datetime]], life: TaskLife, log: Log) -> None:
        self._actor = actor
        self._life = life
        self._log = log
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def catch_up(self, due: DueTask) -> Task | None:
        """How the task stands when it has heard everything that its run said of waiting. Raises Unavailable."""
        turn = self._turns.setdefault(due.subject, asyncio.Lock())
        async with turn:  # of a backlog that is delivered at once, the first reads all, and the others find it read
            task = await self._actor.state(due.subject, 1)
            if task is None or task.status.terminal or task.elsewhere or task.hold:
                return task
            run = subjects.event(TenantId(due.tenant), TaskId(due.task), RUN)
            for stored in (await self._log.load(run, task.heard)).records:
                task = await self._heard(due, stored, task)
            return task

    async def _heard(self, due: DueTask, stored: Stored, task: Task | None) -> Task | None:
        record = stored.record
        for fact in record.facts:
            happening = _news(fact, stored.seq)
            if happening and task and task.heard < stored.seq:
                # The time of the run counts: nobody loses what passed before this was heard.
                task = await self._life.happened(due, happening, record.at)
        return task


def _news(fact: Fact, seq: int) -> Happening | None:
    match fact:
        case RunWaits():
            return RunWaiting(fact.attempt, fact.why, seq, fact.approval_id)
        case RunGoesOn():
            return RunGoing(fact.attempt, seq)
        case _:
            return None
