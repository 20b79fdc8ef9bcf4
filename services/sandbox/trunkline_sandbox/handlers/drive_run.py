"""Driving a run from its claim to its end, wherever it stands, until it is over or somebody else took it."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Final

import structlog

from trunkline.bus import BusAway, LeaveAlone, Log, Raced, WorkItem
from trunkline.contracts import subjects
from trunkline.contracts.errors import DomainError, Overdue, Unavailable
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Fact
from trunkline.contracts.run import RunFailed, RunStopped
from trunkline.contracts.task import TaskCancelled, TaskFailed, TaskStopRequested, TaskSubmitted, TaskSucceeded
from trunkline.runtime.alongside import alongside
from trunkline.runtime.faults import MOMENTS, faultpoint
from trunkline_sandbox.handlers.run_log import RunLog
from trunkline_sandbox.handlers.steps import Steps
from trunkline_sandbox.handlers.world import Job, World, sandbox_id
from trunkline_sandbox.model import Run, Step, claim, is_last_exit, may_stop, needs_sandbox, next_step

log = structlog.get_logger()

LOOK_EVERY: Final = 0.4
"""Seconds between two looks whether the task is to stop: a cancel ends the agent within two seconds."""
MOST_DELIVERIES: Final = 12
"""A run whose runner died this often is not tried any further: it is what kills them."""
INSIST_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds between tries of a push or a pull request while the forge is away."""
_OVER = (TaskSucceeded, TaskFailed, TaskCancelled)
_RECORDED: Final = {
    Step.MAKE_SANDBOX: MOMENTS[1],
    Step.CLONE: MOMENTS[2],
    Step.START_AGENT: MOMENTS[3],
    Step.COMMIT: MOMENTS[4],
    Step.PUSH: MOMENTS[5],
    Step.OPEN_PULL_REQUEST: MOMENTS[6],
}


class StopWanted(Exception):
    """The task asked for the end of its run."""


class DriveRun:
    """One replica's hands: carries attempts to their ends."""

    def __init__(self, events: Log, world: World, steps: Steps, owner: str) -> None:
        self._events = events
        self._world = world
        self._steps = steps
        self._owner = owner
        self._carried: dict[tuple[str, int], asyncio.Event] = {}

    async def carry(self, item: WorkItem, deliveries: int) -> None:
        """Bring one attempt to its end; returning means that it is over. Raises LeaveAlone when another owner carries it."""
        key = (item.task, item.attempt)
        if key in self._carried:  # shown again after the bus was away: whoever carries it here goes on
            await self._carried[key].wait()
            return
        self._carried[key] = asyncio.Event()
        try:
            await self._carry(item, deliveries)
        except Raced as race:
            raise LeaveAlone from race
        finally:
            self._carried.pop(key).set()

    async def _carry(self, item: WorkItem, deliveries: int) -> None:
        with structlog.contextvars.bound_contextvars(task=item.task, attempt=item.attempt):
            run_log = RunLog(self._events, item, self._world.now)
            run = await run_log.load()
            submitted = await self._submitted(item)
            if submitted is not None and (facts := claim(run, item.attempt, self._owner, self._world.provider.isolation)):
                run = await run_log.append(facts, "claim")
                await self._drive(Job(item, submitted.assignment, run_log), run, deliveries)
            await self._steps.clear(sandbox_id(item.task, item.attempt))
            log.info("run.over")

    async def _drive(self, job: Job, run: Run, deliveries: int) -> None:
        log.info("run.driven", step=next_step(run), deliveries=deliveries)
        if deliveries > MOST_DELIVERIES:
            error = f"its runner died {deliveries} times while carrying it; look for what it does to the machine"
            run = await job.log.append([_failed(run, "POISON", error, False)], "poison")
        elif await self._sandbox_is_gone(job, run):
            error = "the machine that ran it is gone, and its sandbox with it"
            run = await job.log.append([_failed(run, "SANDBOX_LOST", error, True)], "takeover")
        while (step := next_step(run)) is not Step.NOTHING:
            run = await self._advance(step, job, run)

    async def _sandbox_is_gone(self, job: Job, run: Run) -> bool:
        """A run taken over from a replica on another machine finds nothing here to go on with."""
        if not needs_sandbox(next_step(run)):
            return False
        return job.sandbox_id not in [sandbox.id for sandbox in await self._world.provider.list()]

    async def _advance(self, step: Step, job: Job, run: Run) -> Run:
        try:
            facts = await self._attempt(step, job, run)
        except StopWanted:
            await self._steps.halt(job.sandbox_id)
            facts = [RunStopped(attempt=run.attempt)]
        except (Raced, BusAway):
            raise
        except DomainError as error:
            facts = [_failed(run, error.code, error.message, isinstance(error, (Unavailable, Overdue)) and may_stop(step))]
        except Exception as error:
            log.exception("run.step_broke", step=step)
            told = f"Trunkline failed at the step {step}: {type(error).__name__}; its log says more"
            facts = [_failed(run, "BROKEN", told, may_stop(step))]
        run = await job.log.append(facts, step)
        if step in _RECORDED:
            faultpoint(f"{_RECORDED[step]}.after_record")
        return run

    async def _attempt(self, step: Step, job: Job, run: Run) -> list[Fact]:
        """Perform the step; while a stop is still honoured, give it up as soon as one is asked for."""
        if not may_stop(step):
            return await self._insist(step, job, run)
        if is_last_exit(step) and await self._stop_wanted(job.item):
            raise StopWanted
        return await alongside(self._steps.perform(step, job, run), self._look(job.item))

    async def _insist(self, step: Step, job: Job, run: Run) -> list[Fact]:
        """A step that the world may have seen is not begun anew by another attempt: it is tried again, here and now."""
        for pause in INSIST_S:
            try:
                return await self._steps.perform(step, job, run)
            except (Unavailable, Overdue) as error:
                log.warning("run.step_repeated", step=step, error=error.message, pause_s=pause)
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))
        return await self._steps.perform(step, job, run)

    async def _look(self, item: WorkItem) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            with suppress(BusAway):
                if await self._stop_wanted(item):
                    raise StopWanted

    async def _stop_wanted(self, item: WorkItem) -> bool:
        newest = await self._events.last(_task_subject(item))
        return newest is not None and any(isinstance(fact, (TaskStopRequested, *_OVER)) for fact in newest.record.facts)

    async def _submitted(self, item: WorkItem) -> TaskSubmitted | None:
        """What was asked for; None when the task is over and nothing is to be done."""
        records = [stored.record for stored in (await self._events.load(_task_subject(item))).records]
        facts = [fact for record in records for fact in record.facts]
        over = any(isinstance(fact, _OVER) for fact in facts)
        return None if over else next((fact for fact in facts if isinstance(fact, TaskSubmitted)), None)


def _task_subject(item: WorkItem) -> str:
    return subjects.event(TenantId(item.tenant), TaskId(item.task), "task")


def _failed(run: Run, code: str, error: str, recoverable: bool) -> Fact:
    return RunFailed(attempt=run.attempt, code=code, error=error, recoverable=recoverable)
