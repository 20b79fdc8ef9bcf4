"""What only its owner may see: left out and not counted wherever somebody else asks, and there for whoever sees all."""

from __future__ import annotations

import pytest

from tests.unit.relay.timelines import NOON, asked, decided, line, said, submitted
from tests.unit.relay.views import approvals, folded, ids, listed, traced, waiting
from trunkline.contracts.approval import Verdict
from trunkline.contracts.task import TaskStarted
from trunkline.contracts.views import GetTrace
from trunkline_relay.adapters.sqlite_views import SqliteViews


@pytest.fixture
def views() -> SqliteViews:
    """Ann's own, which waits for a decision and for another one no longer, and everybody's."""
    return folded(
        [
            line(1, "t1", "task", submitted("ann", trace="tr1", visibility="owner")),
            line(2, "t2", "task", submitted("bob", trace="tr1")),
            said(3, "tr1", task="t1"), said(4, "tr1", task="t2"), said(5, "tr1"),
            asked(6, "t1"), asked(7, "t2"), asked(8, "t1", name="call"), decided(9, "t1", Verdict.APPROVED, name="call"),
        ]
    )  # fmt: skip


@pytest.mark.parametrize(("who", "found"), [("ann", ["t2", "t1"]), ("bob", ["t2"]), ("", ["t2"]), (None, ["t2", "t1"])])
def test_lists_and_totals(views: SqliteViews, who: str | None, found: list[str]) -> None:
    for query in ({}, {"status": "submitted"}, {"surface": "trunkline"}, {"trace_id": "tr1"}, {"submitted_from": NOON}):
        page = listed(views, seen_by=who, **query)
        assert (ids(page), page.total) == (found, len(found))
    page = listed(views, seen_by=who, limit=1)
    assert (ids(page), page.total, page.next is None) == (found[:1], len(found), len(found) == 1)


def test_it_stays_so_while_it_goes_on(views: SqliteViews) -> None:
    folded([line(10, "t1", "task", TaskStarted(attempt=1))], views=views)
    assert listed(views, seen_by="bob", status="in_progress").total == 0
    assert listed(views, status="in_progress").total == 1


@pytest.mark.parametrize(
    ("who", "found"), [("ann", ["t1/release", "t2/release"]), ("bob", ["t2/release"]), (None, ["t1/release", "t2/release"])]
)
def test_approvals(views: SqliteViews, who: str | None, found: list[str]) -> None:
    page = approvals(views, seen_by=who)
    assert (waiting(page), page.total) == (found, len(found))
    assert approvals(views, seen_by=who, open=False).total == len(found) - 1
    assert approvals(views, seen_by=who, task_id="t1").total == len(found) - 1


@pytest.mark.parametrize(("who", "tasks", "events"), [("ann", ["t1", "t2"], 3), ("bob", ["t2"], 2), (None, ["t1", "t2"], 3)])
def test_traces(views: SqliteViews, who: str | None, tasks: list[str], events: int) -> None:
    found = views.trace(GetTrace(tenant="acme", at=NOON, trace_id="tr1", seen_by=who))
    assert ([view.task_id for view in found.tasks], len(found.events)) == (tasks, events)
    assert len(traced(views, "tr1").events) == 3


def test_of_everybody_together_it_is_counted(views: SqliteViews) -> None:
    assert views.counts().total == 2
