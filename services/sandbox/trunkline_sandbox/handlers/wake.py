"""Parked runs: looked at when something moves and every half a minute, and handed out again once nothing is waited for any more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

import structlog
from pydantic import BaseModel

from trunkline.bus import Bell, Raced, Timers, Work, WorkItem
from trunkline.bus.heeding import heeding
from trunkline.contracts import subjects
from trunkline.contracts.ids import TaskId, TenantId, Token
from trunkline.contracts.message import Fact
from trunkline.contracts.run import RunStopped, RunWaits, Wait
from trunkline.contracts.task import ENDS, TaskStopRequested, TaskSubmitted
from trunkline.runtime.faults import faultpoint
from trunkline.runtime.ids import new_id
from trunkline_sandbox.handlers.run_log import RunLog
from trunkline_sandbox.handlers.till import day_of
from trunkline_sandbox.handlers.wires import Wires
from trunkline_sandbox.handlers.world import Job
from trunkline_sandbox.model import Run
from trunkline_sandbox.model.questions import forgotten, outlived

log = structlog.get_logger()

LOOK_AGAIN: Final = 30.0
WORTH_SAYING_S: Final = 10.0
"""A run that is handed out and not taken up for longer waits for a place."""
WATCHED: Final = 512
"""Parked runs that one process listens for; the others are looked at when their timers are due."""


class LookDue(BaseModel):
    """A parked run is to be looked at."""

    tenant: Token
    task: Token
    attempt: int
    round: int
    until: datetime | None = None
    """Not to be handed out before that."""


def due_of(job: Job) -> LookDue:
    """For the park that comes next."""
    return LookDue(tenant=job.item.tenant, task=job.item.task, attempt=job.item.attempt, round=job.run.parks + 1)


Clear = Callable[[str, Run], Awaitable[None]]
"""Leaves nothing behind of this run of a task."""


@dataclass(frozen=True, slots=True)
class Wakers:
    """By what a run is handed out again."""

    work: Work
    timers: Timers
    now: Callable[[], datetime]
    clear: Clear
    park_s: float
    """Seconds after which a run that is still put aside ends."""
    keeps: int
    """Programs of runs that are put aside which may stand still here."""


class Wake:
    def __init__(self, wires: Wires, wakers: Wakers) -> None:
        self._wires = wires
        self._wakers = wakers
        self._new: asyncio.Queue[LookDue] = asyncio.Queue(WATCHED)
        self._watched: set[tuple[str, int, int]] = set()
        self._released: dict[tuple[str, int, int], float] = {}
        """What was handed out, and when."""
        self._kept: dict[tuple[str, int], float] = {}
        """Runs whose programs stand still, and when that was last seen."""

    async def arm(self, due: LookDue) -> None:
        """Somebody looks after half a minute, whatever dies meanwhile. Raises Unavailable."""
        id = sha256(f"{due.tenant}/{due.task}/{due.attempt}".encode()).hexdigest()[:32]
        await self._wakers.timers.set("look", id, self._wakers.now() + timedelta(seconds=LOOK_AGAIN), ("sandbox", "look"), due)

    async def due(self, due: LookDue) -> None:
        """A timer rang."""
        if not await self.look(due):
            await self.arm(due)
            self.watch(due)

    def watch(self, due: LookDue) -> None:
        """Listen for it in this process, where there is room."""
        name = (due.task, due.attempt, due.round)
        if name in self._watched or len(self._watched) >= WATCHED:
            return
        with suppress(asyncio.QueueFull):
            self._new.put_nowait(due)
            self._watched.add(name)

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self._watch(await self._new.get()))

    async def _watch(self, due: LookDue) -> None:
        try:
            async with self._wires.nudges.on(TenantId(due.tenant), TaskId(due.task), "task", "run", subjects.INBOX) as bell:
                await self._until_over(due, bell)
        finally:
            self._watched.discard((due.task, due.attempt, due.round))

    async def _until_over(self, due: LookDue, bell: Bell) -> None:
        over = False
        while not over:
            bell.rung.clear()
            try:
                over = await heeding(self.look(due, bell))
            except Exception as error:  # one that resists must not keep the others, nor end the service
                log.warning("wake.put_off", task=due.task, error=f"{type(error).__name__}: {error}")
            with suppress(TimeoutError):
                async with asyncio.timeout(0 if over else self._pause(due)):
                    await bell.rung.wait()

    def _pause(self, due: LookDue) -> float:
        left = (due.until - self._wakers.now()).total_seconds() if due.until else 0.0
        return min(left + 0.01, LOOK_AGAIN) if left > 0 else LOOK_AGAIN

    async def look(self, due: LookDue, bell: Bell | None = None) -> bool:
        """Hand the run out if it waits for nothing, end it if it is to stop or waited too long. Whether this park is over.

        Raises Unavailable.
        """
        over = await self._look(due, bell)
        if over:
            self._released.pop((due.task, due.attempt, due.round), None)
            self._kept.pop((due.task, due.attempt), None)
        return over

    def keep(self, due: LookDue) -> bool:
        """Whether the program of one more run that is put aside may stand still; what is over is seen to be so within a minute or two."""
        now = time.monotonic()
        self._kept = {name: seen for name, seen in self._kept.items() if now - seen < 4 * LOOK_AGAIN}
        if len(self._kept) >= self._wakers.keeps and (due.task, due.attempt) not in self._kept:
            return False
        self._kept[due.task, due.attempt] = now
        return True

    async def _look(self, due: LookDue, bell: Bell | None) -> bool:
        item = WorkItem(tenant=due.tenant, task=due.task, attempt=due.attempt, pool="-", priority="-", round=due.round)
        run_log = RunLog(self._wires.events, item, self._wakers.now)
        run = await run_log.load()
        if run is None or run.over or (run.attempt, run.parks) > (due.attempt, due.round):
            return True
        if run.parked is None:
            return run.parks == due.round  # else it is about to be parked
        facts = await self._task_facts(item)
        if any(isinstance(fact, (TaskStopRequested, *ENDS)) for fact in facts):
            return await self._end(run_log, run, RunStopped(attempt=run.attempt))
        if run.parked_at and (self._wakers.now() - run.parked_at).total_seconds() > self._wakers.park_s:
            return await self._end(run_log, run, forgotten(run.attempt, run.parked.why, self._wakers.park_s))
        if run.parked.kept:
            self._kept[due.task, due.attempt] = time.monotonic()
        submitted = next(fact for fact in facts if isinstance(fact, TaskSubmitted))
        job = Job(item, submitted.assignment, run_log)
        if await self._ready(job, run, bell):
            await self._hand_out(job)
        return False

    async def _hand_out(self, job: Job) -> None:
        asked, released = job.assignment, (job.item.task, job.item.attempt, job.item.round)
        if since := self._released.get(released):  # nats-server knows a repeat for ten minutes only, and hands may be busy for longer
            if time.monotonic() - since > WORTH_SAYING_S:
                await self._wants_place(job)
            return
        faultpoint("woken.before_effect")
        names = {"pool": asked.pool, "priority": asked.priority.value, "release": new_id()}
        await self._wakers.work.put(job.item.model_copy(update=names))
        self._released[released] = time.monotonic()
        faultpoint("woken.after_effect")

    async def _wants_place(self, job: Job) -> None:
        """People see why it does not go on. Whoever takes it up at this moment is asked to once more."""
        waits = job.run.questions.waits
        if waits and waits.why not in (Wait.PLACE, Wait.FORGE):
            with suppress(Raced):
                await job.log.append([RunWaits(attempt=job.item.attempt, why=Wait.PLACE)], "place")

    async def _ready(self, job: Job, run: Run, bell: Bell | None) -> bool:
        """Nothing is waited for any more."""
        if run.parked and run.parked.until and self._wakers.now() < run.parked.until:
            return False
        for wanted in run.questions.open:
            if bell:
                await bell.listen(subjects.approval_part(wanted.approval_id))
            if outlived(wanted, day_of(self._wakers.now())):
                continue
            if await self._wires.decision(job, wanted.approval_id) is None:
                return False
        if run.agent_ended:
            return True
        wishes = await self._wires.inbox.wishes(job)
        if wishes.paused:
            return False
        return not run.resting or bool(wishes.resumed) or await self._wires.inbox.next(job) is not None

    async def _end(self, run_log: RunLog, run: Run, end: Fact) -> bool:
        with suppress(Raced):
            await run_log.append([end], "end_parked")
            await self._wakers.clear(run_log.task, run)
        return True

    async def _task_facts(self, item: WorkItem) -> list[Fact]:
        loaded = await self._wires.events.load(subjects.event(TenantId(item.tenant), TaskId(item.task), subjects.TASK))
        return [fact for stored in loaded.records for fact in stored.record.facts]
