"""What the router, the approvals service and the relay would answer, by the models of the first two, over a list of events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from trunkline.auth.principal import HOME
from trunkline.contracts.approval import ApprovalDecided, DecideApproval, OpenApproval, RequestApproval
from trunkline.contracts.approval_views import ApprovalPage, ApprovalView, GetApproval, ListApprovals, fold_approval
from trunkline.contracts.errors import NotFound
from trunkline.contracts.folding import fold
from trunkline.contracts.message import Command, Fact, Message
from trunkline.contracts.record import Event
from trunkline.contracts.steering import EditMessage, ListMessages, ReorderMessages, SayToAgent, SteerRun, WithdrawMessage
from trunkline.contracts.task import (
    CancelTask,
    EventPublished,
    Executor,
    Moved,
    PublishEvent,
    ReportTask,
    SubmitTask,
    Submitted,
    TaskStatus,
    Visibility,
)
from trunkline.contracts.usage import GetUsage, UsageRow, UsageView
from trunkline.contracts.views import (
    FINGERPRINT,
    LOGIN,
    CountTasks,
    GetTask,
    GetTrace,
    ListTasks,
    TaskCounts,
    TaskPage,
    TaskSort,
    TaskView,
    TraceEvent,
    TraceView,
)
from trunkline.contracts.work_types import canonical
from trunkline_approvals import model as approvals
from trunkline_router import model as router
from trunkline_router.settings import Settings
from trunkline_router.wiring import rules_of
from trunkline_sandbox.model import inbox as inboxes

Wish = SayToAgent | EditMessage | WithdrawMessage | ReorderMessages | SteerRun
RULES = rules_of(Settings.model_validate({"routes": {"repair": {"pool": "dev", "executor": "sandbox"}}}))
"""Those that are installed, and one type of task that Trunkline carries out itself."""
USED = (
    UsageRow(
        day=date(2025, 1, 12), model="claude-sonnet-4-5", requests=3, input_tokens=900, cached_tokens=600, output_tokens=40, cost_usd=0.0021
    ),
    UsageRow(day=date(2025, 1, 12), model="", requests=1, input_tokens=7, cached_tokens=0, output_tokens=0, cost_usd=None, estimated=True),
)
SORTED: dict[TaskSort, Callable[[TaskView], tuple[object, ...]]] = {
    TaskSort.NEWEST: lambda view: (-view.submitted_at.timestamp(),),
    TaskSort.OLDEST: lambda view: (view.submitted_at.timestamp(),),
    TaskSort.UPDATED: lambda view: (-view.updated_at.timestamp(),),
    TaskSort.PRIORITY: lambda view: (view.assignment.priority, view.submitted_at.timestamp()),
}


@dataclass(frozen=True)
class Decided:
    """What is to be said, where, and the answer to whoever asked."""

    facts: Sequence[Fact] = ()
    part: str = "task"
    body: Message | None = None


def submit(events: Sequence[Event], wish: SubmitTask) -> Decided:
    if wish.assignment.parent:
        view(events, wish.tenant, wish.assignment.parent)
    facts, task = _task(events, wish, wish.task_id)
    assert task
    told = Submitted(
        task_id=wish.task_id, pool=task.assignment.pool, executor=task.assignment.executor, status=task.status, hold=task.hold,
        gated=task.gated and not task.attempt, submitted_at=task.submitted_at, sla_at=task.sla_at, trace_id=task.trace_id,
    )  # fmt: skip
    return Decided(facts, body=told)


def move(events: Sequence[Event], wish: CancelTask | ReportTask) -> Decided:
    facts, task = _task(events, wish, wish.task_id)
    return Decided(facts, body=Moved(status=task.status if task else TaskStatus.SUBMITTED))


def open_approval(events: Sequence[Event], wish: OpenApproval) -> Decided:
    held = approvals.still_held(event.fact for event in of(events, wish.tenant, wish.task_id))
    if held is None:
        return Decided()
    request = RequestApproval(
        tenant=wish.tenant, at=wish.at, approval_id=held.hold.approval_id, task_id=wish.task_id, kind="task", subject=held.subject,
        digest=held.hold.digest, requested_by=held.requested_by, about=held.about,
    )  # fmt: skip
    state = _approval(events, wish.tenant, wish.task_id, held.hold.approval_id)
    return Decided(approvals.decide(state, approvals.Ask(request, approvals.choose((), request))), f"approval-{held.hold.approval_id}")


def decide(events: Sequence[Event], wish: DecideApproval) -> Decided:
    before = _approval(events, wish.tenant, wish.task_id, wish.approval_id)
    facts = approvals.decide(before, wish)
    state = before
    for fact in facts:
        state = approvals.evolve(state, fact)
    return Decided(facts, f"approval-{wish.approval_id}", approvals.standing(state, wish))


def after_decision(events: Sequence[Event], wish: DecideApproval, facts: Iterable[Fact]) -> Sequence[Fact]:
    """What the router makes of it."""
    decisions = [fact for fact in facts if isinstance(fact, ApprovalDecided)]
    task = _folded(events, wish.tenant, wish.task_id)
    return [fact for decision in decisions for fact in router.decide(task, router.HoldDecided(decision), wish.at, RULES)]


def publish(events: Sequence[Event], wish: PublishEvent) -> Decided:
    if wish.task_id:
        view(events, wish.tenant, wish.task_id)
    return Decided((wish.event,), "message")


def steer(events: Sequence[Event], wish: Wish) -> Decided:
    """What the sandbox service makes of it, which knows the task by its facts."""
    task = view(events, wish.tenant, wish.task_id)
    inboxes.may_hear(task.assignment.executor is Executor.SANDBOX, task.status.terminal)
    return Decided(inboxes.decide(inbox(events, wish.tenant, wish.task_id), inboxes.Asked(wish, max(task.attempt, 1))), "inbox")


def read(events: Sequence[Event], query: Command) -> Message | None:
    """What the relay says; nothing for what it is not asked."""
    match query:
        case GetTask():
            return view(events, query.tenant, _by_alias(events, query) if ":" in query.task else query.task)
        case ListTasks():
            return _tasks(events, query)
        case ListMessages():
            task = view(events, query.tenant, query.task_id)
            shown = inboxes.shown(inbox(events, query.tenant, query.task_id), query.task_id, max(task.attempt, 1))
            return shown.model_copy(update={"closed": shown.closed or task.status.terminal})
        case GetUsage():
            return UsageView(rows=USED if query.tenant == HOME else ())
        case CountTasks():
            return _counts(events)
        case GetTrace():
            return _trace(events, query)
        case ListApprovals():
            return _approvals(events, query)
        case GetApproval():
            found = [one for one in _approval_views(events, query.tenant) if (one.task_id, one.approval_id) == _named(query)]
            return found[0] if found else _nothing()
        case _:
            return None


def of(events: Sequence[Event], tenant: str, task: str) -> list[Event]:
    return [event for event in events if (event.tenant, event.task) == (tenant, task)]


def view(events: Sequence[Event], tenant: str, task: str) -> TaskView:
    found: TaskView | None = None
    for event in of(events, tenant, task):
        found = fold(found, event)
    return found or _nothing()


def _by_alias(events: Sequence[Event], query: GetTask) -> str:
    """The newest that has it."""
    tasks = dict.fromkeys(event.task for event in events if event.tenant == query.tenant and event.part == "task")
    named = [task for task in tasks if query.task in view(events, query.tenant, task).aliases]
    return named[-1] if named else ""


def elsewhere(events: Sequence[Event], tenant: str, task: str) -> bool:
    """Whether an agent outside carries it out."""
    return view(events, tenant, task).assignment.executor is Executor.BUS


def _nothing() -> TaskView:
    raise NotFound("there is nothing by that name")


def _named(query: GetApproval) -> tuple[str, str]:
    return query.task_id, query.approval_id


def _task(events: Sequence[Event], wish: SubmitTask | CancelTask | ReportTask, id: str) -> tuple[list[Fact], router.Task | None]:
    task = _folded(events, wish.tenant, id)
    facts = router.decide(task, wish, wish.at, RULES)
    for fact in facts:
        task = router.evolve(task, fact, wish.at)
    return facts, task


def _folded(events: Sequence[Event], tenant: str, id: str) -> router.Task | None:
    task: router.Task | None = None
    for event in of(events, tenant, id):
        task = router.evolve(task, event.fact, event.at)
    return task


def _approval(events: Sequence[Event], tenant: str, task: str, name: str) -> approvals.State | None:
    state: approvals.State | None = None
    for event in of(events, tenant, task):
        if event.part == f"approval-{name}":
            state = approvals.evolve(state, event.fact)
    return state


def inbox(events: Sequence[Event], tenant: str, task: str) -> inboxes.Inbox | None:
    found: inboxes.Inbox | None = None
    for event in of(events, tenant, task):
        found = inboxes.evolve(found, event.fact, event.at) if event.part == "inbox" else found
    return found


def _views(events: Sequence[Event]) -> list[TaskView]:
    known = dict.fromkeys((event.tenant, event.task) for event in events if event.part == "task")
    return [view(events, *names) for names in known]


def _tasks(events: Sequence[Event], query: ListTasks) -> TaskPage:
    found = sorted((view for view in _views(events) if _fits(view, query)), key=SORTED[query.sort])
    start = int(query.after or 0) + query.offset
    more = str(start + query.limit) if len(found) > start + query.limit else None
    return TaskPage(tasks=tuple(found[start : start + query.limit]), total=len(found), next=more)


def _fits(view: TaskView, query: ListTasks) -> bool:
    wanted: list[tuple[object, object]] = [
        (query.pool, view.pool), (query.source, view.assignment.source), (query.parent, view.assignment.parent),
        (query.trace_id, view.trace_id), (query.submitted_by, view.submitted_by), (query.surface, view.assignment.surface),
        (query.fingerprint, view.assignment.labels.get(FINGERPRINT)), (lower(query.login), lower(view.assignment.labels.get(LOGIN))),
    ]  # fmt: skip
    several: list[tuple[Sequence[object], object]] = [
        (query.statuses, view.status), (query.priorities, view.assignment.priority),
        (tuple(map(canonical, query.types)), canonical(view.assignment.type)),
    ]  # fmt: skip
    since, until = query.submitted_from, query.submitted_before
    return (
        view.tenant == query.tenant
        and _shown(view, query.seen_by)
        and all(want is None or want == got for want, got in wanted)
        and all(not want or got in want for want, got in several)
        and (since is None or view.submitted_at >= since)
        and (until is None or view.submitted_at < until)
    )


def _shown(view: TaskView, seen_by: str | None) -> bool:
    return seen_by is None or view.assignment.visibility is not Visibility.OWNER or view.submitted_by == seen_by


def lower(text: str | None) -> str | None:
    return text.lower() if text else text


def _counts(events: Sequence[Event]) -> TaskCounts:
    statuses = [view.status for view in _views(events)]
    waiting = sum(status in (TaskStatus.SUBMITTED, TaskStatus.ASSIGNED) for status in statuses)
    running = sum(status in (TaskStatus.IN_PROGRESS, TaskStatus.STOPPING) for status in statuses)
    return TaskCounts(pending=waiting, processing=running, total=len(statuses))


def _trace(events: Sequence[Event], query: GetTrace) -> TraceView:
    hidden = {view.task_id for view in _views(events) if not _shown(view, query.seen_by)}
    tasks = [view for view in _views(events) if (view.tenant, view.trace_id) == (query.tenant, query.trace_id)]
    tasks = [view for view in tasks if view.task_id not in hidden]
    said = [
        TraceEvent(cursor=str(event.cursor), at=event.at, task_id=event.task, event=event.fact)
        for event in events
        if event.tenant == query.tenant
        and isinstance(event.fact, EventPublished)
        and event.fact.trace_id == query.trace_id
        and event.task not in hidden
    ]
    return TraceView(trace_id=query.trace_id, tasks=tuple(tasks), events=tuple(said)) if tasks or said else _no_trace()


def _no_trace() -> TraceView:
    raise NotFound("nothing carries that trace id")


def _approvals(events: Sequence[Event], query: ListApprovals) -> ApprovalPage:
    hidden = {view.task_id for view in _views(events) if not _shown(view, query.seen_by)}
    found = [view for view in _approval_views(events, query.tenant) if view.open is query.open and view.task_id not in hidden]
    found.sort(key=lambda view: _when(view, query))
    start = int(query.after or 0)
    more = str(start + query.limit) if len(found) > start + query.limit else None
    return ApprovalPage(approvals=tuple(found[start : start + query.limit]), total=len(found), next=more)


def _when(view: ApprovalView, query: ListApprovals) -> float:
    at: datetime = view.requested_at if query.open or view.decided_at is None else view.decided_at
    return at.timestamp() * (1 if query.open else -1)


def _approval_views(events: Sequence[Event], tenant: str) -> list[ApprovalView]:
    found: dict[tuple[str, str], ApprovalView] = {}
    for event in (event for event in events if event.tenant == tenant and event.part.startswith("approval-")):
        names = (event.task, event.part)
        folded = fold_approval(found.get(names), event)
        found |= {names: folded} if folded else {}
    return list(found.values())
