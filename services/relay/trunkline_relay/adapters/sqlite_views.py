"""Views in SQLite: every question and every change goes to the file of the thing it is about."""

from __future__ import annotations

import inspect
import sqlite3
from hashlib import sha256
from pathlib import Path
from typing import Final

from trunkline.contracts import approval, approval_views, calls, forge, message, record, run, spend, steering, task, views
from trunkline.contracts.approval_views import ApprovalPage, ApprovalView, ListApprovals
from trunkline.contracts.usage import GetUsage, UsageView
from trunkline.contracts.views import GetTrace, ListTasks, TaskCounts, TaskPage, TaskView, TraceView
from trunkline_relay.adapters import sqlite_approvals, sqlite_store, sqlite_task_pages, sqlite_tasks, sqlite_traces, sqlite_usage
from trunkline_relay.model import changes as folding
from trunkline_relay.model import pages
from trunkline_relay.model.changes import Changes

TABLES: Final = sqlite_tasks.TABLES + sqlite_approvals.TABLES + sqlite_traces.TABLES + sqlite_usage.TABLES
_ROOMS: Final = (sqlite_store, sqlite_tasks, sqlite_approvals, sqlite_traces, sqlite_usage)
_FOLDS: Final = (approval, approval_views, calls, forge, message, record, run, spend, steering, task, views, folding, pages)
# A view is only as good as the code that folded it: another fold, another fact, another table, and the file is made anew.
FORM: Final = sha256("".join(inspect.getsource(module) for module in (*_FOLDS, *_ROOMS)).encode()).hexdigest()


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

    def tasks(self, query: ListTasks) -> TaskPage:
        return sqlite_task_pages.page(self._db, query)

    def counts(self) -> TaskCounts:
        return sqlite_tasks.counts(self._db)

    def approval(self, tenant: str, task: str, name: str) -> ApprovalView | None:
        return sqlite_approvals.find(self._db, tenant, task, name)

    def approvals(self, query: ListApprovals) -> ApprovalPage:
        return sqlite_approvals.page(self._db, query)

    def trace(self, query: GetTrace) -> TraceView:
        return sqlite_traces.trace(self._db, query)

    def usage(self, query: GetUsage) -> UsageView:
        return sqlite_usage.usage(self._db, query)

    def keep(self, changes: Changes, checkpoint: int) -> None:
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for view in changes.tasks:
                sqlite_tasks.keep(self._db, view)
            for asked in changes.approvals:
                sqlite_approvals.keep(self._db, asked)
            for event in changes.said:
                sqlite_traces.keep(self._db, event)
            for event in changes.used:
                sqlite_usage.keep(self._db, event)
            self._db.execute("UPDATE origin SET checkpoint = ?", (checkpoint,))
        self._checkpoint = checkpoint

    def close(self) -> None:
        self._db.close()


def open_views(path: Path | None, epoch: str, last_seq: int) -> SqliteViews:
    """The views kept at `path` if they fit the log, else empty ones; None keeps them in memory.

    Raises Conflict when another process has the file.
    """
    return SqliteViews(sqlite_store.open_store(path, sqlite_store.Fit(epoch, FORM, last_seq), TABLES))
