"""Traces in SQLite: what was published under each, the newest of it, and which tasks carry it."""

from __future__ import annotations

import sqlite3
from typing import Final

from trunkline.contracts import subjects
from trunkline.contracts.record import Event
from trunkline.contracts.task import EventPublished
from trunkline.contracts.views import GetTrace, TaskView, TraceEvent, TraceView
from trunkline_relay.model.pages import brief_event

MOST_SAID: Final = 1_000
"""Published events kept of each trace, the newest; the log and the timelines of tasks have them all."""

# `number` counts within a trace in the order of the log, so that the oldest is found without counting.
TABLES: Final = """
CREATE TABLE said (tenant TEXT NOT NULL, trace_id TEXT NOT NULL, number INTEGER NOT NULL, told TEXT NOT NULL);
CREATE UNIQUE INDEX said_in_order ON said (tenant, trace_id, number);
"""

_LAST: Final = "SELECT coalesce(max(number), 0) FROM said WHERE tenant = ? AND trace_id = ?"
_TASKS: Final = """
SELECT coalesce(brief, view) FROM task INDEXED BY by_trace
WHERE tenant = ?1 AND trace_id = ?2 AND (?4 IS NULL OR owner IS NULL OR owner = ?4) ORDER BY submitted_us DESC, task_id DESC LIMIT ?3
"""
_EVENTS: Final = """
SELECT told FROM said WHERE tenant = ?1 AND trace_id = ?2 AND (?4 IS NULL OR NOT EXISTS (
    SELECT 1 FROM task WHERE task.tenant = ?1 AND task.task_id = said.told ->> 'task_id' AND owner <> ?4
)) ORDER BY number DESC LIMIT ?3
"""


def keep(db: sqlite3.Connection, event: Event) -> None:
    """Inside the caller's transaction; once for each event, in the order of the log."""
    fact = event.fact
    if not isinstance(fact, EventPublished) or not fact.trace_id:
        return
    task = None if event.task == subjects.NO_TASK else event.task
    told = brief_event(TraceEvent(cursor=str(event.cursor), at=event.at, task_id=task, event=fact))
    names = (event.tenant, fact.trace_id)
    number = db.execute(_LAST, names).fetchone()[0] + 1
    db.execute("INSERT INTO said VALUES (?, ?, ?, ?)", (*names, number, told.model_dump_json(exclude_defaults=True)))
    db.execute("DELETE FROM said WHERE tenant = ? AND trace_id = ? AND number <= ?", (*names, number - MOST_SAID))


def trace(db: sqlite3.Connection, query: GetTrace) -> TraceView:
    """The newest tasks and the newest events, each in the order in which they came."""
    asked = (query.tenant, query.trace_id, query.limit, query.seen_by)
    tasks = [TaskView.model_validate_json(row[0]) for row in db.execute(_TASKS, asked)]
    events = [TraceEvent.model_validate_json(row[0]) for row in db.execute(_EVENTS, asked)]
    return TraceView(trace_id=query.trace_id, tasks=tuple(reversed(tasks)), events=tuple(reversed(events)))
