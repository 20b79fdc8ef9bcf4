"""Approvals in SQLite: the open ones as a queue, the ended ones as a history."""

from __future__ import annotations

import sqlite3
from typing import Final

from trunkline.contracts.approval_views import ApprovalPage, ApprovalView, ListApprovals
from trunkline_relay.adapters.sqlite_store import Value, micros
from trunkline_relay.model.bookmarks import ENDED, OPEN, read, write

# `owner` is whoever alone may see the task, as there. `at_us` is when an open one was asked and when an ended one was
# decided: what each of the two lists is ordered by.
TABLES: Final = """
CREATE TABLE approval (
    number INTEGER PRIMARY KEY, tenant TEXT NOT NULL, task_id TEXT NOT NULL, approval_id TEXT NOT NULL, open INTEGER NOT NULL,
    at_us INTEGER NOT NULL, kind TEXT NOT NULL, requested_by TEXT NOT NULL, owner TEXT, view TEXT NOT NULL,
    UNIQUE (tenant, task_id, approval_id)
);
CREATE INDEX by_standing ON approval (tenant, open, at_us, task_id, approval_id, kind, requested_by, owner);
CREATE INDEX by_task ON approval (tenant, task_id, open, at_us, approval_id, kind, requested_by, owner);
"""

_KEEP: Final = """
INSERT INTO approval (tenant, task_id, approval_id, open, at_us, kind, requested_by, view, owner)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, (SELECT owner FROM task WHERE tenant = ?1 AND task_id = ?2))
ON CONFLICT (tenant, task_id, approval_id) DO UPDATE SET open = excluded.open, at_us = excluded.at_us, view = excluded.view
"""
_KEY: Final = "at_us, task_id, approval_id"


def keep(db: sqlite3.Connection, view: ApprovalView) -> None:
    """Inside the caller's transaction, its task before it."""
    at = micros(view.requested_at if view.open else view.decided_at or view.requested_at)
    names = (view.tenant, view.task_id, view.approval_id)
    db.execute(_KEEP, (*names, view.open, at, view.kind, view.requested_by, view.model_dump_json(exclude_defaults=True)))


def find(db: sqlite3.Connection, tenant: str, task: str, name: str) -> ApprovalView | None:
    """By its name within the task."""
    row = db.execute("SELECT view FROM approval WHERE tenant = ? AND task_id = ? AND approval_id = ?", (tenant, task, name)).fetchone()
    return ApprovalView.model_validate_json(row[0]) if row else None


def page(db: sqlite3.Connection, query: ListApprovals) -> ApprovalPage:
    """Raises Invalid for a cursor of the other list."""
    order = OPEN if query.open else ENDED
    after = read(order, query.after)
    where, values, index = _asked(query)
    (total,) = db.execute(f"SELECT count(*) FROM approval INDEXED BY {index} WHERE {where}", values).fetchone()
    onward, direction = (">", "at_us, task_id, approval_id") if query.open else ("<", "at_us DESC, task_id DESC, approval_id DESC")
    beyond = f" AND ({_KEY}) {onward} (?, ?, ?)" if after else ""
    rows: list[tuple[Value, ...]] = db.execute(
        f"SELECT number, {_KEY} FROM approval INDEXED BY {index} WHERE {where}{beyond} ORDER BY {direction} LIMIT ?",
        (*values, *after, query.limit + 1),
    ).fetchall()
    shown = rows[: query.limit]
    views = tuple(_view(db, row[0]) for row in shown)
    return ApprovalPage(approvals=views, total=total, next=write(order, shown[-1][1:]) if len(rows) > len(shown) else None)


def _view(db: sqlite3.Connection, number: Value) -> ApprovalView:
    return ApprovalView.model_validate_json(db.execute("SELECT view FROM approval WHERE number = ?", (number,)).fetchone()[0])


def _asked(query: ListApprovals) -> tuple[str, tuple[Value, ...], str]:
    asked: dict[str, Value | None] = {"tenant": query.tenant, "open": query.open, "task_id": query.task_id}
    asked |= {"kind": query.kind, "requested_by": query.requested_by}
    given = {column: value for column, value in asked.items() if value is not None}
    where, values = [f"{column} = ?" for column in given], list(given.values())
    if query.seen_by is not None:
        where.append("(owner IS NULL OR owner = ?)")
        values.append(query.seen_by)
    return " AND ".join(where), tuple(values), "by_task" if query.task_id else "by_standing"
