"""Tasks in SQLite: one row each, the columns that lists go by, and how many there are."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from trunkline.contracts.task import TaskStatus, Visibility
from trunkline.contracts.views import FINGERPRINT, LOGIN, TaskCounts, TaskView
from trunkline.contracts.work_types import canonical
from trunkline_relay.adapters.sqlite_store import Value, micros
from trunkline_relay.model.pages import brief_task

# Each order has one index that also holds every column that lists filter by: the worst a list can cost is to walk one of them.
# Each filter has one that finds what matches, and where few words are in use, a tally of each. What changes while a task lives is in as
# few of them as can be. `owner` is whoever alone may see the task, and nobody for most. `type` is what the task is, and the view holds
# which word was sent for it.
TABLES: Final = """
CREATE TABLE task (
    number INTEGER PRIMARY KEY, tenant TEXT NOT NULL, task_id TEXT NOT NULL, status TEXT NOT NULL, type TEXT NOT NULL,
    priority TEXT NOT NULL, pool TEXT, source TEXT NOT NULL, parent TEXT, trace_id TEXT, submitted_by TEXT NOT NULL,
    surface TEXT NOT NULL, fingerprint TEXT, login TEXT, submitted_us INTEGER NOT NULL, updated_us INTEGER NOT NULL, view TEXT NOT NULL,
    owner TEXT, brief TEXT, UNIQUE (tenant, task_id)
);
CREATE INDEX by_submitted ON task (
    tenant, submitted_us, task_id, status, type, priority, pool, source, parent, trace_id, submitted_by, surface, fingerprint, login, owner
);
CREATE INDEX by_updated ON task (
    tenant, updated_us, task_id, status, type, priority, pool, source, parent, trace_id, submitted_by, submitted_us, surface, fingerprint,
    login, owner
);
CREATE INDEX by_priority ON task (
    tenant, priority, submitted_us, task_id, status, type, pool, source, parent, trace_id, submitted_by, surface, fingerprint, login, owner
);
CREATE INDEX by_status ON task (tenant, status, submitted_us, task_id, owner);
CREATE INDEX by_type ON task (tenant, type, submitted_us, task_id, owner);
CREATE INDEX by_pool ON task (tenant, pool, submitted_us, task_id, owner);
CREATE INDEX by_source ON task (tenant, source, submitted_us, task_id, owner);
CREATE INDEX by_submitter ON task (tenant, submitted_by, submitted_us, task_id, owner);
CREATE INDEX by_parent ON task (tenant, parent, submitted_us, task_id, owner) WHERE parent IS NOT NULL;
CREATE INDEX by_trace ON task (tenant, trace_id, submitted_us, task_id, owner) WHERE trace_id IS NOT NULL;
CREATE INDEX by_fingerprint ON task (tenant, fingerprint, submitted_us, task_id, owner) WHERE fingerprint IS NOT NULL;
CREATE INDEX by_login ON task (tenant, login, submitted_us, task_id, owner) WHERE login IS NOT NULL;
CREATE INDEX by_owner ON task (tenant, owner, submitted_us, task_id, status, type, priority, pool, source, surface) WHERE owner IS NOT NULL;
CREATE TABLE alias (
    tenant TEXT NOT NULL, name TEXT NOT NULL, submitted_us INTEGER NOT NULL, task_id TEXT NOT NULL, PRIMARY KEY (tenant, name)
) WITHOUT ROWID;
CREATE TABLE tally (
    tenant TEXT NOT NULL, field TEXT NOT NULL, word TEXT NOT NULL, tasks INTEGER NOT NULL, PRIMARY KEY (tenant, field, word)
) WITHOUT ROWID;
CREATE TRIGGER task_made AFTER INSERT ON task BEGIN
    INSERT INTO tally SELECT new.tenant, field, word, 1 FROM (
        SELECT 'status' AS field, new.status AS word UNION ALL SELECT 'type', new.type UNION ALL SELECT 'priority', new.priority
        UNION ALL SELECT 'source', new.source UNION ALL SELECT 'pool', new.pool
    ) WHERE word IS NOT NULL ON CONFLICT DO UPDATE SET tasks = tasks + 1;
END;
CREATE TRIGGER task_moved AFTER UPDATE OF status, pool ON task WHEN new.status <> old.status OR new.pool IS NOT old.pool BEGIN
    UPDATE tally SET tasks = tasks - 1 WHERE tenant = old.tenant AND field = 'status' AND word = old.status;
    UPDATE tally SET tasks = tasks - 1 WHERE tenant = old.tenant AND field = 'pool' AND word = old.pool;
    INSERT INTO tally SELECT new.tenant, field, word, 1 FROM (
        SELECT 'status' AS field, new.status AS word UNION ALL SELECT 'pool', new.pool
    ) WHERE word IS NOT NULL ON CONFLICT DO UPDATE SET tasks = tasks + 1;
END;
"""

# Most facts move neither status nor pool: then only the index by update is written.
_TOUCH: Final = """
UPDATE task SET updated_us = :updated_us, view = :view, brief = :brief
WHERE tenant = :tenant AND task_id = :task_id AND status = :status AND pool IS :pool
"""
_KEEP: Final = """
INSERT INTO task (
    tenant, task_id, status, type, priority, pool, source, parent, trace_id, submitted_by, surface, fingerprint, login, submitted_us,
    updated_us, view, owner, brief
) VALUES (
    :tenant, :task_id, :status, :type, :priority, :pool, :source, :parent, :trace_id, :submitted_by, :surface, :fingerprint, :login,
    :submitted_us, :updated_us, :view, :owner, :brief
)
ON CONFLICT (tenant, task_id) DO UPDATE SET
    status = excluded.status, pool = excluded.pool, updated_us = excluded.updated_us, view = excluded.view,
    brief = excluded.brief
"""
# Of two tasks that claim one name the newer has it: on every replica, however the log was cut into batches.
_NAME: Final = """
INSERT INTO alias (tenant, name, submitted_us, task_id) VALUES (?, ?, ?, ?)
ON CONFLICT (tenant, name) DO UPDATE SET submitted_us = excluded.submitted_us, task_id = excluded.task_id
WHERE (excluded.submitted_us, excluded.task_id) > (alias.submitted_us, alias.task_id)
"""
TALLIED: Final = frozenset({"status", "type", "priority", "source", "pool"})
LARGE: Final = 8 << 10
"""Characters of a view from which on lists read a brief one: a hundred tasks of 256 KiB would take seconds to read, and everybody waits."""
_PENDING: Final = (TaskStatus.SUBMITTED, TaskStatus.ASSIGNED)
_PROCESSING: Final = (TaskStatus.IN_PROGRESS, TaskStatus.STOPPING)


def keep(db: sqlite3.Connection, view: TaskView) -> None:
    """Inside the caller's transaction."""
    row = _row(view)
    if db.execute(_TOUCH, row).rowcount == 0:
        db.execute(_KEEP, row)
        names = [(view.tenant, name, row["submitted_us"], view.task_id) for name in view.aliases]
        db.executemany(_NAME, names)


def _row(view: TaskView) -> dict[str, str | int | None]:
    asked, whole = view.assignment, view.model_dump_json(exclude_defaults=True)
    return {
        "tenant": view.tenant,
        "task_id": view.task_id,
        "status": view.status,
        "type": canonical(asked.type),
        "priority": asked.priority,
        "pool": view.pool,
        "source": asked.source,
        "parent": asked.parent,
        "trace_id": view.trace_id,
        "submitted_by": view.submitted_by,
        "surface": asked.surface,
        "fingerprint": asked.labels.get(FINGERPRINT),
        "login": login.lower() if (login := asked.labels.get(LOGIN)) else None,
        "submitted_us": micros(view.submitted_at),
        "updated_us": micros(view.updated_at),
        "view": whole,
        "owner": view.submitted_by if asked.visibility is Visibility.OWNER else None,
        "brief": brief_task(view).model_dump_json(exclude_defaults=True) if len(whole) > LARGE else None,
    }


def find(db: sqlite3.Connection, tenant: str, name: str) -> TaskView | None:
    """By id, or by alias, which has a colon in it."""
    text = kept(db, tenant, name)
    return TaskView.model_validate_json(text) if text else None


def kept(db: sqlite3.Connection, tenant: str, name: str) -> str | None:
    """As `find`, the JSON of the view without what says nothing."""
    by = "(SELECT task_id FROM alias WHERE tenant = ?1 AND name = ?2)" if ":" in name else "?2"
    row = db.execute(f"SELECT view FROM task WHERE tenant = ?1 AND task_id = {by}", (tenant, name)).fetchone()
    return str(row[0]) if row else None


def counts(db: sqlite3.Connection) -> TaskCounts:
    by_status: dict[str, int] = dict(db.execute("SELECT word, sum(tasks) FROM tally WHERE field = 'status' GROUP BY word"))
    return TaskCounts(
        pending=sum(by_status.get(status, 0) for status in _PENDING),
        processing=sum(by_status.get(status, 0) for status in _PROCESSING),
        total=sum(by_status.values()),
    )


def tallied(db: sqlite3.Connection, tenant: str, field: str, words: Sequence[Value]) -> int:
    """How many tasks of a tenant have one of the words in this field, which must be one of TALLIED; of no words, all."""
    among = f" AND word IN ({', '.join('?' * len(words))})" if words else ""
    row = db.execute(f"SELECT total(tasks) FROM tally WHERE tenant = ? AND field = ?{among}", (tenant, field, *words)).fetchone()
    return int(row[0])
