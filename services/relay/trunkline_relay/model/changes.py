"""How a batch of the log becomes changed views."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from trunkline.contracts import subjects
from trunkline.contracts.approval_views import ApprovalView, fold_approval
from trunkline.contracts.dispatch_views import DispatchView, fold_dispatch
from trunkline.contracts.folding import FOLDED, fold_told
from trunkline.contracts.record import Event, Told
from trunkline.contracts.task import EventPublished
from trunkline.contracts.views import TaskView

APPROVAL: Final = "approval-"
"""Begins the part of every approval; the rest is its name within the task."""
_OTHERS: Final = frozenset({subjects.DISPATCH, subjects.SPEND, subjects.MESSAGE})
"""Parts of which not only tasks are made."""

FindTask = Callable[[str, str], TaskView | None]
"""By tenant and task."""
FindApproval = Callable[[str, str, str], ApprovalView | None]
"""By tenant, task and name."""
FindDispatch = Callable[[str, str], DispatchView | None]
"""By tenant and task."""
V = TypeVar("V", ApprovalView, DispatchView)


@dataclass(frozen=True, slots=True)
class Changes:
    """What a batch leaves behind: views as they are after it, and what was said under a trace, in the order of the log."""

    tasks: Sequence[TaskView] = ()
    approvals: Sequence[ApprovalView] = ()
    dispatches: Sequence[DispatchView] = ()
    said: Sequence[Event] = ()
    used: Sequence[Event] = ()
    """What models answered."""


@dataclass(frozen=True, slots=True)
class _Latest(Generic[V]):
    """Views while a batch is folded; each is looked up once."""

    find: Callable[..., V | None]
    fold: Callable[[V | None, Event], V | None]
    seen: dict[tuple[str, ...], V | None] = field(default_factory=dict)
    touched: dict[tuple[str, ...], V] = field(default_factory=dict)

    def take(self, key: tuple[str, ...], event: Event) -> None:
        before = self.seen[key] if key in self.seen else self.find(*key)
        after = self.seen[key] = self.fold(before, event)
        if after is not None and after is not before:
            self.touched[key] = after


def types_of(part: str) -> Container[str] | None:
    """The types of facts of a part that change a view; None: any may."""
    return None if part in _OTHERS or part.startswith(APPROVAL) else FOLDED


def changed(told: Iterable[Told], task: FindTask, approval: FindApproval, dispatch: FindDispatch) -> Changes:
    """What these records change; `task`, `approval` and `dispatch` give a view as it is before them."""
    timelines: dict[tuple[str, str], list[Told]] = {}
    approvals: _Latest[ApprovalView] = _Latest(approval, fold_approval)
    dispatches: _Latest[DispatchView] = _Latest(dispatch, fold_dispatch)
    said: list[Event] = []
    used: list[Event] = []
    for each in told:
        timelines.setdefault((each.tenant, each.task), []).append(each)
        for event in () if types_of(each.part) else each.events():
            if event.part == subjects.DISPATCH:
                dispatches.take((event.tenant, event.task), event)
            elif event.part == subjects.SPEND:
                used.append(event)
            elif _traced(event):
                said.append(event)
            elif event.part.startswith(APPROVAL):
                approvals.take((event.tenant, event.task, event.part.removeprefix(APPROVAL)), event)
    return Changes(
        tasks=_tasks(timelines, task),
        approvals=list(approvals.touched.values()),
        dispatches=list(dispatches.touched.values()),
        said=said,
        used=used,
    )


def _tasks(timelines: Mapping[tuple[str, str], Sequence[Told]], find: FindTask) -> list[TaskView]:
    """Those that are not as they were."""
    found: list[TaskView] = []
    for key, told in timelines.items():
        before = find(*key)
        after = fold_told(before, told)
        if after is not None and after is not before:
            found.append(after)
    return found


def _traced(event: Event) -> bool:
    return event.part == subjects.MESSAGE and isinstance(event.fact, EventPublished) and bool(event.fact.trace_id)
