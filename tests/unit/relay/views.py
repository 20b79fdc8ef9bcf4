"""Views in memory folded from a timeline, and what is asked of them, for tests of the relay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tests.unit.relay.timelines import NOON, Line
from trunkline.contracts.approval_views import ApprovalPage, ListApprovals
from trunkline.contracts.views import GetTrace, ListTasks, TaskPage, TraceView
from trunkline_relay.adapters.sqlite_views import SqliteViews, open_views
from trunkline_relay.handlers.fold_facts import fold_batch


def folded(log: Sequence[Line], batch: int = 100, views: SqliteViews | None = None) -> SqliteViews:
    views = views or open_views(None, "k3v9", 0)
    for start in range(0, len(log), batch):
        fold_batch(views, log[start : start + batch], "k3v9")
    return views


def listed(views: SqliteViews, tenant: str = "acme", **query: Any) -> TaskPage:
    return views.tasks(ListTasks.model_validate({"tenant": tenant, "at": NOON, "limit": 100, **query}))


def ids(page: TaskPage) -> list[str]:
    return [view.task_id for view in page.tasks]


def pages(views: SqliteViews, **query: Any) -> Iterator[TaskPage]:
    """One page after the other by their cursors, a bounded number of them."""
    after: str | None = None
    for _ in range(1_000):
        page = listed(views, after=after, **query)
        yield page
        if (after := page.next) is None:
            return
    raise AssertionError("the pages do not end")


def approvals(views: SqliteViews, tenant: str = "acme", **query: Any) -> ApprovalPage:
    return views.approvals(ListApprovals.model_validate({"tenant": tenant, "at": NOON, **query}))


def waiting(page: ApprovalPage) -> list[str]:
    return [f"{view.task_id}/{view.approval_id}" for view in page.approvals]


def traced(views: SqliteViews, trace: str, tenant: str = "acme", limit: int = 100) -> TraceView:
    return views.trace(GetTrace(tenant=tenant, at=NOON, trace_id=trace, limit=limit))
