"""A task in the hands of an agent on the bus: one lease at a time, and nothing counts that comes without it."""

from __future__ import annotations

from datetime import datetime
from typing import Final, assert_never

from trunkline.contracts.agent import MOST_ASKED, AgentReported, Report
from trunkline.contracts.errors import Conflict
from trunkline.contracts.lease import LeaseEnd, TaskAnswered, TaskLeased, TaskLeaseOver
from trunkline.contracts.message import Fact
from trunkline.contracts.task import Executor, TaskAssigned, TaskFailed, TaskGoesOn, TaskStarted, TaskStatus, TaskSucceeded, TaskWaits
from trunkline_router.model.cues import AgentAsks, AgentReports, AskDecided, LeaseSilent, LeaseWanted, Leasing
from trunkline_router.model.ending import stopped
from trunkline_router.model.reports import NO_REASON, tried_again
from trunkline_router.model.task import Lease, Task
from trunkline_router.model.waiting import between_attempts, moved

MOST_GIVEN_BACK: Final = 10
"""Leases of one attempt that may end before the work does: beyond it the attempt has failed, and does not go round for ever."""
MOST_UNHEARD: Final = 2
"""Leases that began by being given and of which no beat ever came: the answer was lost, or the work kills its agent at once. So often it
is taken for the first."""
LOST: Final = "the lease is over: the task is somebody else's, or ended; drop it"
VANISHED: Final = "nothing was heard any more of the agent that had the task ({by}); look at what became of it"
HANDED_ROUND: Final = "agents took the task {times} times and gave it back, or vanished, each time; look at them, and submit it again"


def leasing(task: Task, cue: Leasing, at: datetime) -> list[Fact]:
    """Raises Conflict."""
    match cue:
        case LeaseWanted():
            return _granted(task, cue)
        case LeaseSilent(lease, ever):
            return _silent(task, task.lease, at, ever=ever) if task.lease and task.lease.id == lease else []
        case AgentReports():
            return _reported(task, cue, at)
        case AgentAsks():
            return _asks(task, cue)
        case AskDecided():
            return _decided(task, cue, at)
        case never:
            assert_never(never)


def held_by(task: Task, lease: str, by: str) -> Lease:
    """The lease, while it is that agent's. Raises Conflict (LEASE_LOST)."""
    if task.lease is None or (task.lease.id, task.lease.by) != (lease, by):
        raise Conflict(LOST, code="LEASE_LOST")
    return task.lease


def _granted(task: Task, cue: LeaseWanted) -> list[Fact]:
    free = task.status is TaskStatus.ASSIGNED and task.attempt == cue.attempt and not task.hold and not task.lease
    if not free or task.assignment.executor is not Executor.BUS:
        return []
    leased = TaskLeased(
        attempt=cue.attempt, lease=cue.lease, by=cue.by, session=cue.session, until=cue.until, trace=cue.trace, begun=cue.begin
    )
    return [leased, TaskStarted(attempt=cue.attempt, by=cue.by)] if cue.begin else [leased]


def _silent(task: Task, lease: Lease, at: datetime, *, ever: bool) -> list[Fact]:
    over = TaskLeaseOver(attempt=task.attempt, lease=lease.id, by=lease.by, why=LeaseEnd.EXPIRED)
    if task.stop:
        return [over, stopped(task.stop)]
    if not lease.started or (lease.begun and not ever and task.given_back < MOST_UNHEARD):
        return _again(task, over, at)
    failed = TaskFailed(code="AGENT_LOST", error=VANISHED.format(by=lease.by))
    return [over, *between_attempts(task, tried_again(task, failed, at, mendable=True), at)]


def _again(task: Task, over: TaskLeaseOver, at: datetime) -> list[Fact]:
    """The same attempt, for whoever asks next."""
    if task.given_back + 1 >= MOST_GIVEN_BACK:
        failed = TaskFailed(code="AGENT_LOST", error=HANDED_ROUND.format(times=task.given_back + 1))
        return [over, *between_attempts(task, tried_again(task, failed, at, mendable=True), at)]
    waited: list[Fact] = [TaskGoesOn(deadline_at=moved(task, at))] if task.waits_since else []
    return [over, *waited, TaskAssigned(pool=task.assignment.pool, attempt=task.attempt)]


def _reported(task: Task, cue: AgentReports, at: datetime) -> list[Fact]:
    report = cue.report
    if task.lease is None and task.closed == (report.lease, cue.by, report.reported):
        return []
    lease = held_by(task, report.lease, cue.by)
    began: list[Fact] = [] if lease.started else [TaskStarted(attempt=task.attempt, by=cue.by)]
    match report.reported:
        case AgentReported.STARTED:
            return [] if task.stop else began
        case AgentReported.SUCCEEDED:
            return [*began, TaskSucceeded(outcome=report.result)]
        case AgentReported.FAILED:
            return [*began, *_failed(task, report, at)]
        case AgentReported.STOPPED:
            if task.stop is None:
                raise Conflict("nobody asked the task to stop; report `failed` or `released`", code="NOT_STOPPING")
            return [stopped(task.stop)]
        case AgentReported.RELEASED:
            over = TaskLeaseOver(attempt=task.attempt, lease=lease.id, by=lease.by, why=LeaseEnd.RELEASED)
            return [over, stopped(task.stop)] if task.stop else _again(task, over, at)
        case never:
            assert_never(never)


def _failed(task: Task, report: Report, at: datetime) -> list[Fact]:
    if task.stop:
        return [stopped(task.stop)]
    failed = TaskFailed(code=report.code or "AGENT_FAILED", error=report.error.strip() or NO_REASON)
    return between_attempts(task, tried_again(task, failed, at, mendable=report.mendable), at)


def _asks(task: Task, cue: AgentAsks) -> list[Fact]:
    """The same question again, by whichever attempt, is asked once. The deadline stands still while it is open."""
    held_by(task, cue.lease, cue.by)
    name = cue.wanted.approval_id
    waits: list[Fact] = [] if task.waits_since or task.stop else [TaskWaits(why=cue.wanted.kind, approval_id=name)]
    known = next((ask for ask in task.asks if ask.approval_id == name), None)
    if known is None:
        if len(task.asks) >= MOST_ASKED:
            raise Conflict(f"the task has asked {MOST_ASKED} questions already", code="TOO_MANY_ASKED")
        return [cue.wanted, *waits]
    if known.digest != cue.wanted.digest:
        raise Conflict("something else was asked under this id; ask under another", code="ASKED_OTHERWISE")
    return waits if known.open else []


def _decided(task: Task, cue: AskDecided, at: datetime) -> list[Fact]:
    held_by(task, cue.lease, cue.by)
    left = [ask for ask in task.asks if ask.open and ask.approval_id != cue.approval_id]
    if len(left) == sum(ask.open for ask in task.asks):
        return []
    goes_on: list[Fact] = [TaskGoesOn(deadline_at=moved(task, at))] if task.waits_since and not left and not task.stop else []
    return [TaskAnswered(approval_id=cue.approval_id), *goes_on]
