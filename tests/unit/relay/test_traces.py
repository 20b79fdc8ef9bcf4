"""What carries one trace id: tasks, and what was published under it."""

from __future__ import annotations

import pytest

from tests.unit.relay.timelines import NOON, line, said, submitted
from tests.unit.relay.views import folded, traced
from trunkline.contracts.task import EventPublished
from trunkline.contracts.views import TraceView
from trunkline_relay.adapters import sqlite_traces


def numbers(trace: TraceView) -> list[object]:
    return [told.event.payload["n"] for told in trace.events]


def test_a_trace_shows_its_tasks_and_what_was_said_in_the_order_it_came() -> None:
    views = folded([
        line(1, "t1", "task", submitted(trace="tr1")), said(2, "tr1"), said(3, "tr2"), said(4, None),
        line(5, "t2", "task", submitted(trace="tr1")), said(6, "tr1", task="t1", word="task.looked_at"),
    ])  # fmt: skip

    trace = traced(views, "tr1")

    assert [view.task_id for view in trace.tasks] == ["t1", "t2"]
    assert [(told.cursor, told.task_id, told.event.event_type) for told in trace.events] == [
        ("k3v9-2", None, "deploy.done"), ("k3v9-6", "t1", "task.looked_at"),
    ]  # fmt: skip
    assert trace.events[0].at.second == NOON.second + 2


def test_several_events_of_one_record_keep_their_places() -> None:
    both = (EventPublished(event_type="a.b", by="ann", trace_id="tr1"), EventPublished(event_type="c.d", by="ann", trace_id="tr1"))

    assert [told.cursor for told in traced(folded([line(3, "-", "message", *both)]), "tr1").events] == ["k3v9-3", "k3v9-3.1"]


def test_a_trace_that_nothing_carries_is_empty_and_so_is_one_of_another_tenant() -> None:
    views = folded([said(1, "tr1", tenant="umbrella"), line(2, "t1", "task", submitted(trace="tr1"), tenant="umbrella"), said(3, "tr2")])

    nothing = TraceView(trace_id="tr1", tasks=(), events=())
    assert traced(views, "tr1") == nothing
    assert traced(views, "' OR 1=1 --").events == ()
    assert traced(views, "tr1", "umbrella") != nothing


def test_only_what_lies_at_the_part_of_messages_is_something_said() -> None:
    fact = EventPublished(event_type="a.b", by="ann", trace_id="tr1")
    assert traced(folded([line(1, "t1", "run", fact)]), "tr1").events == ()


def test_the_newest_are_shown_where_there_are_more_than_asked_for() -> None:
    tasks = [line(10 + number, f"t{number}", "task", submitted(trace="tr1")) for number in range(5)]
    trace = traced(folded([*(said(seq, "tr1") for seq in range(1, 9)), *tasks]), "tr1", limit=3)

    assert numbers(trace) == [6, 7, 8]
    assert [view.task_id for view in trace.tasks] == ["t2", "t3", "t4"]


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_of_each_trace_the_newest_are_kept(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_traces, "MOST_SAID", 5)
    views = folded([said(seq, "tr1" if seq % 2 else "tr2") for seq in range(1, 31)], batch)

    assert numbers(traced(views, "tr1")) == [21, 23, 25, 27, 29]
    assert numbers(traced(views, "tr2")) == [22, 24, 26, 28, 30]
