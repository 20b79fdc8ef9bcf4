"""Driving a run from its claim to its end, wherever it stands, until it is over or somebody else took it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

import structlog

from trunkline.bus import BusAway, LeaveAlone, Log, Poison, Raced, WorkItem
from trunkline.contracts import subjects
from trunkline.contracts.errors import DomainError
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Fact
from trunkline.contracts.run import SANDBOX_LOST, RunFailed, RunGoesOn, RunParked, RunStopped, RunWaits, Wait
from trunkline.contracts.task import ENDS, TaskStopRequested, TaskSubmitted
from trunkline.runtime.alongside import alongside
from trunkline.runtime.faults import faultpoint
from trunkline.telemetry.traces import Run as Traced
from trunkline.telemetry.traces import Span, child, environment, running
from trunkline_sandbox.handlers.once import Carried, once
from trunkline_sandbox.handlers.run_log import RunLog
from trunkline_sandbox.handlers.steps import Steps
from trunkline_sandbox.handlers.wake import LookDue, Wake, due_of
from trunkline_sandbox.handlers.world import Job, World, sandbox_id
from trunkline_sandbox.model import Released, Run, Step, claim, is_last_exit, may_stop, needs_sandbox, next_step, status_of
from trunkline_sandbox.model.patience import MENDABLE, given_up, told_to_wait, worth_waiting

log = structlog.get_logger()

LOOK_EVERY: Final = 0.4
"""Seconds between two looks whether the task is to stop: a cancel ends the agent within two seconds."""
MOST_CLAIMS: Final = 12
"""A run that was taken this often and came no further is not tried again: it is what kills its runners."""
_STOP: Final = (TaskStopRequested, *ENDS)
_RECORDED: Final = {
    Step.MAKE_SANDBOX: "sandbox_made",
    Step.CLONE: "cloned",
    Step.COMMIT: "committed",
    Step.JUDGE: "judged",
    Step.PUSH: "pushed",
    Step.OPEN_PULL_REQUEST: "pull_request_opened",
    Step.CHECK: "checked",
    Step.CONCLUDE: "concluded",
}
"""The moments of which the record is made here."""


class StopWanted(Exception):
    """The task asked for the end of its run."""


class DriveRun:
    """One replica's hands: carries attempts to their ends."""

    def __init__(self, events: Log, world: World, steps: Steps, wake: Wake, owner: str) -> None:
        self._events = events
        self._world = world
        self._steps = steps
        self._wake = wake
        self._owner = owner
        self._carried: Carried = {}

    def __len__(self) -> int:
        """How many it carries now."""
        return len(self._carried)

    async def carry(self, item: WorkItem, deliveries: int) -> None:
        """Bring one attempt to its end; returning means that it is over, or put aside.

        Raises LeaveAlone when another owner carries it, Poison when it is over because it killed whoever did.
        """
        log.info("run.taken", task=item.task, attempt=item.attempt, deliveries=deliveries)
        try:
            await once(self._carried, item, lambda: self._carry(item))
        except Raced as race:
            raise LeaveAlone from race

    async def _carry(self, item: WorkItem) -> None:
        with structlog.contextvars.bound_contextvars(task=item.task, attempt=item.attempt):
            run_log = RunLog(self._events, item, self._world.now, self._world.redactor)
            run = await run_log.load()
            submitted, trace = await self._submitted(item)
            released = Released(item.attempt, item.round, item.release or "")
            place = (self._world.provider.isolation, submitted.assignment.sandbox if submitted else None)
            with running(Traced(item.tenant, item.task, trace), attempt=item.attempt) as span:
                if submitted is not None and (facts := claim(run, released, self._owner, *place)):
                    job = Job(item, submitted.assignment, run_log, submitted.submitted_by, trace=environment(span))
                    await self._claimed(job, facts)
                await self._leave(item, run_log.run, over=submitted is None)
            if run_log.run and run_log.run.poison and run_log.run.attempt == item.attempt:
                raise Poison("its run killed whoever carried it, and its task is over")

    async def _claimed(self, job: Job, facts: Sequence[Fact]) -> None:
        run = await job.log.append(facts, "claim")
        if job.item.round and len(facts) > 1:
            faultpoint("woken.after_record")
        await self._drive(job, run)

    async def _leave(self, item: WorkItem, run: Run | None, *, over: bool) -> None:
        """Nothing stays of what is over; what is put aside, or was taken up by another round, stays."""
        if run is not None and run.attempt == item.attempt and not run.over and not over:
            if run.parked:
                due = LookDue(tenant=item.tenant, task=item.task, attempt=item.attempt, round=run.parks, until=run.parked.until)
                self._wake.watch(due)
            log.info("run.put_aside")
            return
        mine = run is not None and run.attempt == item.attempt
        await self._steps.clear(sandbox_id(item.task, item.attempt), run.sitting if run and mine else 1)
        if run and mine:
            await self._steps.forget(item.task, run)
        log.info("run.over")

    async def _drive(self, job: Job, run: Run) -> None:
        if facts := await self._facts(next_step(run), run, self._hopeless(job, run)):
            run = await job.log.append(facts, "takeover")
        while (step := next_step(run)) is not Step.NOTHING:
            with child(f"run.{step}") as span:
                facts = await self._facts(step, run, self._attempt(step, job, run))
                _tell_failure(span, facts)
            run = await job.log.append(facts, step)
            if run.pushed and (status := status_of(facts)):
                await self._steps.show(job, *status)
            if step in _RECORDED:
                faultpoint(f"{_RECORDED[step]}.after_record")
            if run.parked:
                faultpoint("parked.after_record")

    async def _hopeless(self, job: Job, run: Run) -> list[Fact]:
        """The end of a run that kills its runners, or whose sandbox stayed behind on another machine."""
        if run.claims > MOST_CLAIMS:
            error = f"it was taken {run.claims} times and came no further; look for what it does to the machine"
            return [_failed(run, "POISON", error, False)]
        if needs_sandbox(next_step(run)) and job.sandbox_id not in [sandbox.id for sandbox in await self._world.provider.list()]:
            return [_failed(run, SANDBOX_LOST, "the machine that ran it is gone, and its sandbox with it", True)]
        return []

    async def _facts(self, step: Step, run: Run, work: Awaitable[list[Fact]]) -> list[Fact]:
        """What came of `work`; a failure that is not the bus's is the end of the run."""
        try:
            return await work
        except (Raced, BusAway):
            raise
        except DomainError as error:
            return [_failed(run, error.code, error.message, isinstance(error, MENDABLE) and may_stop(step))]
        except Exception as error:
            log.exception("run.step_broke", step=step)
            told = f"Trunkline failed at the step {step}: {type(error).__name__}; its log says more"
            return [_failed(run, "BROKEN", told, may_stop(step))]

    async def _attempt(self, step: Step, job: Job, run: Run) -> list[Fact]:
        """Perform the step; while a stop is still honoured, give it up as soon as one is asked for."""
        try:
            if (exits := _exits(step, run)) and await self._is(job.item, exits):
                raise StopWanted
            if not may_stop(step):
                return await self._insist(step, job, run)
            perform = self._insist if step is Step.CLONE else self._steps.perform
            return await alongside(perform(step, job, run), self._look(job.item))
        except StopWanted:
            last = await self._steps.stop(step, job) if may_stop(step) else []
            return [*last, RunStopped(attempt=run.attempt)]

    async def _insist(self, step: Step, job: Job, run: Run) -> list[Fact]:
        """What the forge may mend by itself in a moment is tried again, here and now; what takes it longer is waited for without a hand.

        What the world may have seen is never begun anew.
        """
        patience = self._world.patience
        for pause in (*(() if run.forge_parks else patience.here), None):
            try:
                return [*_goes_on(run), *await self._steps.perform(step, job, run)]
            except MENDABLE as error:
                wait = told_to_wait(error)
                if pause is None or wait > patience.longest_here:
                    return await self._put_aside(step, job, run, error)
                wait = wait + random.uniform(0.1, 1.0) if wait else pause * random.uniform(0.8, 1.2)
                log.warning("run.step_repeated", step=step, error=error.message, pause_s=wait)
                # Nothing is under way at the forge meanwhile, so that a stop is honoured here.
                await alongside(asyncio.sleep(wait), self._look(job.item))
        raise AssertionError("the last try returns or raises")

    async def _put_aside(self, step: Step, job: Job, run: Run, error: DomainError) -> list[Fact]:
        """Nobody carries the run until the forge is asked again; the task's deadline stands still meanwhile: it is not the task's fault.

        Raises the error when it is none that is waited for.
        """
        if isinstance(error, BusAway) or not worth_waiting(step, error):
            raise error
        patience, at = self._world.patience, self._world.now()
        wait = told_to_wait(error) or patience.pause(run.forge_parks) * random.uniform(0.8, 1.2)
        if patience.too_long(run, at, wait):
            text = given_up(error, run, job.item.task, patience, kept=self._world.keep is not None)
            return [_failed(run, error.code, text, False)]
        # Many runs may wait for the same moment.
        until = at + timedelta(seconds=wait + random.uniform(0, min(wait / 10, 30.0)))
        await self._wake.arm(due_of(job))
        log.warning("run.forge_away", step=step, error=error.message, pause_s=round(wait, 1))
        waits = [] if run.forge_parks else [RunWaits(attempt=run.attempt, why=Wait.FORGE)]
        return [*waits, RunParked(attempt=run.attempt, sitting=run.sitting, why=Wait.FORGE, session=run.session, until=until)]

    async def _look(self, item: WorkItem) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            with suppress(BusAway):
                if await self._is(item, _STOP):
                    raise StopWanted

    async def _is(self, item: WorkItem, ends: tuple[type[Fact], ...]) -> bool:
        """Whether one of `ends` was ever said of the task: more may have been said since."""
        loaded = await self._events.load(_task_subject(item))
        return any(isinstance(fact, ends) for stored in loaded.records for fact in stored.record.facts)

    async def _submitted(self, item: WorkItem) -> tuple[TaskSubmitted | None, str]:
        """What was asked for, and the trace that it was asked in; None when the task is over and nothing is to be done."""
        stored = (await self._events.load(_task_subject(item))).records
        facts = [fact for each in stored for fact in each.record.facts]
        over = any(isinstance(fact, ENDS) for fact in facts)
        submitted = None if over else next((fact for fact in facts if isinstance(fact, TaskSubmitted)), None)
        return submitted, stored[0].trace if stored else ""


def _exits(step: Step, run: Run) -> tuple[type[Fact], ...]:
    """What ends the run before this step. Of a push that began, the world may see something: but for a wait in between, it goes on."""
    if may_stop(step):
        return _STOP if is_last_exit(step) else ()
    # A stop that nobody confirmed in time has ended the task: as when this process was frozen since its commit.
    return _STOP if run.forge_parks else ENDS


def _goes_on(run: Run) -> list[Fact]:
    return [RunGoesOn(attempt=run.attempt)] if run.questions.waits and run.questions.waits.why is Wait.FORGE else []


def _tell_failure(span: Span | None, facts: Sequence[Fact]) -> None:
    if span and (end := next((fact for fact in facts if isinstance(fact, RunFailed)), None)):
        span.fail(end.code)


def _task_subject(item: WorkItem) -> str:
    return subjects.event(TenantId(item.tenant), TaskId(item.task), "task")


def _failed(run: Run, code: str, error: str, recoverable: bool) -> Fact:
    return RunFailed(attempt=run.attempt, code=code, error=error, recoverable=recoverable)
