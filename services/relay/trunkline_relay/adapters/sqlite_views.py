"""Views in one SQLite file or in memory: a cache of the log, thrown away whenever it does not fit the log any more."""

from __future__ import annotations

import inspect
import sqlite3
from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

import structlog

from trunkline.contracts import approval, message, record, run, task, views
from trunkline.contracts.errors import Conflict
from trunkline.contracts.views import ListTasks, TaskPage, TaskView

log = structlog.get_logger()

_TABLES: Final = """
CREATE TABLE origin (epoch TEXT NOT NULL, form TEXT NOT NULL, checkpoint INTEGER NOT NULL);
CREATE TABLE task (
    tenant TEXT NOT NULL, task_id TEXT NOT NULL, status TEXT NOT NULL, submitted_by TEXT NOT NULL, submitted_us INTEGER NOT NULL,
    view TEXT NOT NULL, UNIQUE (tenant, task_id)
);
CREATE INDEX newest ON task (tenant, submitted_us, task_id);
CREATE INDEX by_status ON task (tenant, status, submitted_us, task_id);
CREATE INDEX by_submitter ON task (tenant, submitted_by, submitted_us, task_id, status);
CREATE TABLE alias (
    tenant TEXT NOT NULL, name TEXT NOT NULL, submitted_us INTEGER NOT NULL, task_id TEXT NOT NULL, PRIMARY KEY (tenant, name)
) WITHOUT ROWID;
"""
# A view is only as good as the code that folded it: another fold, another fact, and the file is made anew.
FORM: Final = sha256(
    "".join([_TABLES, *(inspect.getsource(module) for module in (approval, message, record, run, task, views))]).encode()
).hexdigest()

_KEEP: Final = """
INSERT INTO task (tenant, task_id, status, submitted_by, submitted_us, view) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (tenant, task_id) DO UPDATE SET status = excluded.status, view = excluded.view
"""
# Of two tasks that claim one name the newer has it: on every replica, however the log was cut into batches.
_NAME: Final = """
INSERT INTO alias (tenant, name, submitted_us, task_id) VALUES (?, ?, ?, ?)
ON CONFLICT (tenant, name) DO UPDATE SET submitted_us = excluded.submitted_us, task_id = excluded.task_id
WHERE (excluded.submitted_us, excluded.task_id) > (alias.submitted_us, alias.task_id)
"""
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class SqliteViews:
    """Views of one log. Every call is one short transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._checkpoint: int = db.execute("SELECT checkpoint FROM origin").fetchone()[0]

    @property
    def checkpoint(self) -> int:
        return self._checkpoint

    def task(self, tenant: str, name: str) -> TaskView | None:
        by = "(SELECT task_id FROM alias WHERE tenant = ?1 AND name = ?2)" if ":" in name else "?2"
        row = self._db.execute(f"SELECT view FROM task WHERE tenant = ?1 AND task_id = {by}", (tenant, name)).fetchone()
        return TaskView.model_validate_json(row[0]) if row else None

    def page(self, query: ListTasks) -> TaskPage:
        where, values = _where(query)
        (total,) = self._db.execute(f"SELECT count(*) FROM task WHERE {where}", values).fetchone()
        rows = self._db.execute(
            f"SELECT view FROM task WHERE {where} ORDER BY submitted_us DESC, task_id DESC LIMIT ? OFFSET ?",
            (*values, query.limit, query.offset),
        )
        return TaskPage(tasks=tuple(TaskView.model_validate_json(row[0]) for row in rows), total=total)

    def keep(self, changed: Iterable[TaskView], checkpoint: int) -> None:
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for view in changed:
                self._keep(view)
            self._db.execute("UPDATE origin SET checkpoint = ?", (checkpoint,))
        self._checkpoint = checkpoint

    def _keep(self, view: TaskView) -> None:
        us = (view.submitted_at - _EPOCH) // timedelta(microseconds=1)
        self._db.execute(_KEEP, (view.tenant, view.task_id, view.status, view.submitted_by, us, view.model_dump_json()))
        if view.aliases:
            self._db.executemany(_NAME, [(view.tenant, name, us, view.task_id) for name in view.aliases])

    def close(self) -> None:
        self._db.close()


def open_views(path: Path | None, epoch: str, last_seq: int) -> SqliteViews:
    """The views kept at `path` if they fit the log, else empty ones; None keeps them in memory.

    Raises Conflict when another process has the file.
    """
    if path is None:
        return SqliteViews(_make(":memory:", epoch))
    path.parent.mkdir(parents=True, exist_ok=True)
    db, unfit = _open(path, epoch, last_seq)
    if db is None:
        log.info("relay.views_made_anew", reason=unfit)
        for suffix in ("", "-wal", "-shm", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        db = _make(path, epoch)
    return SqliteViews(db)


def _open(path: Path, epoch: str, last_seq: int) -> tuple[sqlite3.Connection | None, str]:
    if not path.exists():
        return None, "no file"
    db = sqlite3.connect(path, isolation_level=None, timeout=0.5)
    try:
        _prepare(db)
        unfit = _unfit(db, epoch, last_seq)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise Conflict(
                f"another relay uses {path}; give this one another name by TRUNKLINE_RELAY_INSTANCE, or stop the other", code="VIEWS_IN_USE"
            ) from error
        unfit = f"damaged: {error}"
    if not unfit:
        return db, ""
    db.close()
    return None, unfit


def _unfit(db: sqlite3.Connection, epoch: str, last_seq: int) -> str:
    """Why these views cannot be gone on with; empty when they can."""
    (sound,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if sound != "ok":
        return f"damaged: {sound}"
    found = db.execute("SELECT epoch, form, checkpoint FROM origin").fetchone()
    if found is None or found[0] != epoch:
        return "of another log"
    if found[1] != FORM:
        return "of another version"
    return "" if found[2] <= last_seq else "ahead of the log"


def _make(path: Path | str, epoch: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    _prepare(db)
    db.executescript(f"BEGIN IMMEDIATE; {_TABLES}")
    db.execute("INSERT INTO origin (epoch, form, checkpoint) VALUES (?, ?, 0)", (epoch, FORM))
    db.execute("COMMIT")
    return db


def _prepare(db: sqlite3.Connection) -> None:
    # The lock says that the file has one owner; without it two would fold into the same file.
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")


def _where(query: ListTasks) -> tuple[str, tuple[str, ...]]:
    asked = {"tenant": query.tenant, "status": query.status, "submitted_by": query.submitted_by}
    given = {column: value for column, value in asked.items() if value is not None}
    return " AND ".join(f"{column} = ?" for column in given), tuple(given.values())
