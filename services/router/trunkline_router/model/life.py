"""What a wish or a happening leads to in the life of a task: the facts that follow, thought and not done."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, assert_never

from trunkline.contracts.approval import DecidedBy, Verdict
from trunkline.contracts.errors import Conflict, Invalid, NotFound
from trunkline.contracts.ids import message_alias
from trunkline.contracts.message import Fact
from trunkline.contracts.task import (
    HOME_EXECUTORS,
    Assignment,
    CancelCause,
    CancelTask,
    ReportTask,
    StopCause,
    SubmitTask,
    TaskAssigned,
    TaskCancelled,
    TaskChildAdded,
    TaskFailed,
    TaskHoldDropped,
    TaskReleased,
    TaskSlaBreached,
    TaskStarted,
    TaskStatus,
    TaskStopRequested,
    TaskSubmitted,
    TaskSucceeded,
)
from trunkline.contracts.task_waiting import TaskAwaitsPlace, TaskDelayed, TaskPlaceGiven
from trunkline_router.model.cues import (
    LEASING,
    AgentAsks,
    AgentReports,
    AskDecided,
    ChildSubmitted,
    Cue,
    DeadlineReached,
    Happening,
    HoldDecided,
    InstanceBegan,
    InstanceOver,
    Leasing,
    ParentCancelled,
    PlaceAwaited,
    PlaceGiven,
    RetryDue,
    RunBegan,
    RunEnded,
    RunGoing,
    RunWaiting,
    RunWasStopped,
    SlaReached,
    StopOverdue,
)
from trunkline_router.model.delays import begins, begun
from trunkline_router.model.ending import stopped, with_questions_dropped
from trunkline_router.model.leasing import leasing
from trunkline_router.model.reports import reported, tried_again
from trunkline_router.model.routing import deadline_s, routed
from trunkline_router.model.rules import Rules, digest, reasons
from trunkline_router.model.task import Task
from trunkline_router.model.waiting import between_attempts, goes_on, rings_in_vain, waits

US: Final = "trunkline"
"""Who does what nobody asked for."""
OTHER_ACT: Final = "approved was something else than what is held; look at both, and submit the task again"


def decide(task: Task | None, cue: Cue, at: datetime, rules: Rules) -> list[Fact]:
    """The facts that follow. A repeat leads to none. Raises NotFound, Conflict or Invalid for a wish that cannot be granted."""
    return with_questions_dropped(task, _decide(task, cue, at, rules))


def _decide(task: Task | None, cue: Cue, at: datetime, rules: Rules) -> list[Fact]:
    if isinstance(cue, SubmitTask):
        return [] if task else _submitted(cue, at, rules)
    if task is None:
        return _unknown(cue)
    if isinstance(cue, CancelTask):
        return _cancel(task, cue)
    if isinstance(cue, ReportTask):
        return reported(task, cue, at)
    if isinstance(cue, LEASING):
        return leasing(task, cue, at)
    return [] if task.status.terminal else _happened(task, cue, at, rules)


def _unknown(cue: CancelTask | ReportTask | Happening | Leasing) -> list[Fact]:
    if isinstance(cue, CancelTask | ReportTask | AgentReports | AgentAsks | AskDecided):
        raise NotFound("there is no such task", code="NO_SUCH_TASK")
    return []


def _submitted(wish: SubmitTask, at: datetime, rules: Rules) -> list[Fact]:
    assignment = routed(wish.assignment, rules)
    lasts = deadline_s(assignment, rules)
    begin = begins(assignment, at, lasts, rules.kept)
    submitted = TaskSubmitted(
        assignment=assignment,
        submitted_by=wish.submitted_by,
        deadline_at=_in(begin, lasts),
        sla_at=_in(begin, assignment.sla_s) if assignment.sla_s else None,
        aliases=_aliases(wish, assignment),
        trace_id=wish.trace_id,
    )
    if begin > at:
        return [submitted, TaskDelayed(until=begin, gated=bool(reasons(assignment, rules.gates)))]
    return [submitted, *begun(assignment, rules, wish.submitted_by)]


def _aliases(wish: SubmitTask, assignment: Assignment) -> tuple[str, ...]:
    """The id of a message alone leads to the task of its instance, by whatever surface that came in."""
    own = (message_alias(wish.task_id),) if assignment.executor in HOME_EXECUTORS else ()
    return tuple(dict.fromkeys((*wish.aliases, *own)))


def _in(at: datetime, seconds: float) -> datetime:
    try:
        return at + timedelta(seconds=seconds)
    except OverflowError:
        raise Invalid("a deadline lies beyond the end of the calendar; ask for fewer seconds", code="DEADLINE_TOO_FAR") from None


def _cancel(task: Task, wish: CancelTask) -> list[Fact]:
    if task.status is TaskStatus.CANCELLED or (task.stop and not task.status.terminal):
        return []
    if task.status.terminal:
        raise Conflict(f"the task is over: it {task.status.value}", code="TASK_OVER", status=task.status.value)
    return _ending(task, TaskCancelled(by=wish.by, reason=wish.reason, cause=wish.cause))


def _ending(task: Task, end: TaskCancelled) -> list[Fact]:
    """At once where nobody of ours has it; else whoever has it is asked to stop."""
    if task.carried:
        return [TaskStopRequested(cause=StopCause.CANCELLED, by=end.by, reason=end.reason, cancel_cause=end.cause)]
    return [*([TaskHoldDropped(approval_id=task.hold.approval_id)] if task.hold else []), end]


def _happened(task: Task, happening: Happening, at: datetime, rules: Rules) -> list[Fact]:
    match happening:
        case RunBegan() | RunEnded() | RunWasStopped() | RunWaiting() | RunGoing():
            # Between two attempts nobody runs it: what comes then was heard before.
            fresh = happening.attempt == task.attempt and task.status is not TaskStatus.SUBMITTED
            return _run(task, happening, at) if fresh else []
        case InstanceBegan() | InstanceOver():
            return _elsewhere(task, happening) if happening.attempt == task.attempt else []
        case DeadlineReached():
            return [] if rings_in_vain(task, at) else _deadline(task, deadline_s(task.assignment, rules))
        case SlaReached():
            return [TaskSlaBreached(due_at=task.sla_at)] if task.sla_at and not task.sla_breached else []
        case RetryDue(attempt):
            return _next(task, attempt, rules)
        case PlaceAwaited() | PlaceGiven():
            return _place(task, happening)
        case StopOverdue():
            return [stopped(task.stop)] if task.stop else []
        case HoldDecided():
            return _allowed(task, happening, at, rules)
        case ChildSubmitted(child):
            return [] if child in task.children else [TaskChildAdded(child=child)]
        case ParentCancelled(parent):
            reason = f"the task that it is a part of was cancelled ({parent})"
            return [] if task.stop else _ending(task, TaskCancelled(by=US, reason=reason, cause=CancelCause.PARENT_CANCELLED))
        case never:
            assert_never(never)


def _next(task: Task, attempt: int, rules: Rules) -> list[Fact]:
    if task.status is not TaskStatus.SUBMITTED or attempt != task.attempt + 1:
        return []
    first = attempt == 1
    return begun(task.assignment, rules, task.submitted_by) if first else [TaskAssigned(pool=task.assignment.pool, attempt=attempt)]


def _place(task: Task, news: PlaceAwaited | PlaceGiven) -> list[Fact]:
    if task.placed:
        return []
    if isinstance(news, PlaceGiven):
        return [TaskPlaceGiven()]
    return [TaskAwaitsPlace(full=news.full)] if task.status is TaskStatus.ASSIGNED else []


def _allowed(task: Task, word: HoldDecided, at: datetime, rules: Rules) -> list[Fact]:
    """Only an approval of exactly this assignment releases it; a refusal needs no proof.

    A decision is final: after one of anything else no further one would come, and the task would wait for ever.
    """
    decision = word.decision
    if task.hold is None or decision.approval_id != task.hold.approval_id:
        return []
    if decision.verdict is Verdict.APPROVED:
        if not decision.digest == task.hold.digest == digest(task.assignment):
            return [TaskCancelled(by=US, reason=OTHER_ACT, cause=CancelCause.APPROVAL_REJECTED)]
        return [TaskReleased(approval_id=decision.approval_id, by=decision.by, deadline_at=_in(at, deadline_s(task.assignment, rules)))]
    if decision.decided_by is DecidedBy.TIMEOUT:
        return [TaskCancelled(by=decision.by, reason="nobody decided in time", cause=CancelCause.APPROVAL_EXPIRED)]
    return [TaskCancelled(by=decision.by, reason=decision.reason or f"rejected by {decision.by}", cause=CancelCause.APPROVAL_REJECTED)]


def _run(task: Task, news: RunBegan | RunEnded | RunWasStopped | RunWaiting | RunGoing, at: datetime) -> list[Fact]:
    match news:
        case RunWaiting():
            return waits(task, news)
        case RunGoing():
            return goes_on(task, news, at)
        case RunBegan(attempt):
            return [TaskStarted(attempt=attempt)] if task.status is TaskStatus.ASSIGNED else []
        case RunWasStopped():
            return [stopped(task.stop)] if task.stop else []
        case RunEnded() if news.result is not None:
            return [TaskSucceeded(result=news.result)]
        case RunEnded() if task.stop:
            return [stopped(task.stop)]
        case RunEnded():
            facts = tried_again(task, TaskFailed(code=news.code, error=news.error), at, mendable=news.recoverable)
            return between_attempts(task, facts, at)


def _elsewhere(task: Task, news: InstanceBegan | InstanceOver) -> list[Fact]:
    """What an agent that calls home says, or its workflow run, counts while the task is open; a stop that was asked for counts more."""
    if isinstance(news, InstanceBegan):
        return [TaskStarted(attempt=news.attempt)] if task.status is TaskStatus.ASSIGNED and not task.hold else []
    if task.stop and not news.ok:
        return [stopped(task.stop)]
    if news.killed_by:
        return [TaskCancelled(by=news.killed_by, reason="its agent says that it was killed")]
    if news.stopped:
        return []
    return [TaskSucceeded()] if news.ok else [TaskFailed(code=news.code, error=news.error)]


def _deadline(task: Task, seconds: float) -> list[Fact]:
    request = TaskStopRequested(cause=StopCause.DEADLINE, by=US, reason=_late(seconds))
    return [request] if task.carried else [stopped(request)]


def _late(seconds: float) -> str:
    return f"the task was not done within its {seconds:g} s; ask for less at once, or give it a longer deadline"
