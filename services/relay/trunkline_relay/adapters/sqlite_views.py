"""Views in SQLite: every question and every change goes to the file of the thing it is about."""

from __future__ import annotations

import inspect
import re
import sqlite3
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from trunkline.contracts import (
    approval,
    approval_views,
    calls,
    dispatch,
    dispatch_views,
    folding,
    forge,
    message,
    record,
    run,
    spend,
    steering,
    task,
    views,
)
from trunkline.contracts.approval_views import ApprovalPage, ApprovalView, ListApprovals
from trunkline.contracts.dispatch_views import DispatchPage, DispatchView, ListDispatches
from trunkline.contracts.errors import Unavailable
from trunkline.contracts.usage import GetUsage, UsageView
from trunkline.contracts.view_rows import ReadRows, RowsRead
from trunkline.contracts.views import GetTrace, ListTasks, TaskCounts, TaskPage, TaskView, TraceView
from trunkline_relay.adapters import (
    sqlite_approvals,
    sqlite_dispatches,
    sqlite_rows,
    sqlite_store,
    sqlite_task_pages,
    sqlite_tasks,
    sqlite_traces,
    sqlite_usage,
)
from trunkline_relay.model import changes, pages
from trunkline_relay.model.changes import Changes

_ROOMS: Final = (sqlite_tasks, sqlite_approvals, sqlite_dispatches, sqlite_traces, sqlite_usage)
TABLES: Final = "".join(room.TABLES for room in _ROOMS)
LEAN: Final = re.sub(r"CREATE INDEX [^;]*;", "", TABLES)
"""Without what only lists need: they are two thirds of what writing a view costs."""
_FOLDS: Final = (
    approval,
    approval_views,
    calls,
    dispatch,
    dispatch_views,
    folding,
    forge,
    message,
    record,
    run,
    spend,
    steering,
    task,
    views,
    changes,
    pages,
)
# A view is only as good as the code that folded it: another fold, another fact, another table, and the file is made anew.
FORM: Final = sha256("".join(inspect.getsource(module) for module in (*_FOLDS, sqlite_store, *_ROOMS)).encode()).hexdigest()


class SqliteViews:
    """Views of one log. Every call is one short transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._checkpoint: int = db.execute("SELECT checkpoint FROM origin").fetchone()[0]

    @property
    def checkpoint(self) -> int:
        return self._checkpoint

    def task(self, tenant: str, name: str) -> TaskView | None:
        return sqlite_tasks.find(self._db, tenant, name)

    def task_text(self, tenant: str, name: str) -> str | None:
        return sqlite_tasks.kept(self._db, tenant, name)

    def tasks(self, query: ListTasks) -> TaskPage:
        return sqlite_task_pages.page(self._db, query)

    def counts(self) -> TaskCounts:
        return sqlite_tasks.counts(self._db)

    def approval(self, tenant: str, task: str, name: str) -> ApprovalView | None:
        return sqlite_approvals.find(self._db, tenant, task, name)

    def approvals(self, query: ListApprovals) -> ApprovalPage:
        return sqlite_approvals.page(self._db, query)

    def dispatch(self, tenant: str, task: str) -> DispatchView | None:
        return sqlite_dispatches.find(self._db, tenant, task)

    def dispatches(self, query: ListDispatches) -> DispatchPage:
        return sqlite_dispatches.page(self._db, query)

    def dispatch_of_run(self, tenant: str, repo: str, run_id: int) -> DispatchView | None:
        return sqlite_dispatches.of_run(self._db, tenant, repo, run_id)

    def open_dispatches(self, tenant: str, repo: str) -> Sequence[DispatchView]:
        return sqlite_dispatches.sought(self._db, tenant, repo)

    def trace(self, query: GetTrace) -> TraceView:
        return sqlite_traces.trace(self._db, query)

    def usage(self, query: GetUsage) -> UsageView:
        return sqlite_usage.usage(self._db, query)

    def rows(self, query: ReadRows) -> RowsRead:
        return RowsRead(form=FORM, rows=sqlite_rows.rows(self._db, query))

    def keep(self, changes: Changes, checkpoint: int) -> None:
        """All of it or nothing. Raises Unavailable when the disk does not take it."""
        try:
            self._write(changes, checkpoint)
        except sqlite3.OperationalError as error:
            raise Unavailable(f"the views cannot be written: {error}", code="VIEWS_NOT_WRITTEN") from error
        self._checkpoint = checkpoint

    def _write(self, changes: Changes, checkpoint: int) -> None:
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for view in changes.tasks:
                sqlite_tasks.keep(self._db, view)
            for asked in changes.approvals:
                sqlite_approvals.keep(self._db, asked)
            for started in changes.dispatches:
                sqlite_dispatches.keep(self._db, started)
            for event in changes.said:
                sqlite_traces.keep(self._db, event)
            for event in changes.used:
                sqlite_usage.keep(self._db, event)
            self._db.execute("UPDATE origin SET checkpoint = ?", (checkpoint,))

    def close(self) -> None:
        self._db.close()


def open_views(path: Path | None, epoch: str, last_seq: int) -> SqliteViews:
    """The views kept at `path` if they fit the log, else empty ones; None keeps them in memory.

    Raises Conflict when another process has the file.
    """
    return SqliteViews(sqlite_store.open_store(path, sqlite_store.Fit(epoch, FORM, last_seq), TABLES))


def scratch_views(path: Path, epoch: str) -> SqliteViews:
    """Empty ones at `path`, to be filled and compared; no list is asked of them."""
    return SqliteViews(sqlite_store.make(path, sqlite_store.Fit(epoch, FORM, 0), LEAN, handed_on=True))
