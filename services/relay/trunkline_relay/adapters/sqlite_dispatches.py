"""Dispatches in SQLite: by task, by repository with the newest first, and by the run that came of one."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from trunkline.contracts.dispatch import Outcome
from trunkline.contracts.dispatch_views import DispatchPage, DispatchView, ListDispatches
from trunkline.contracts.forge import one_name
from trunkline_relay.adapters.sqlite_store import Value, micros

MOST_OPEN: Final = 200
"""Dispatches of one repository whose run nobody has seen: with more than one, no run without a name is anybody's."""
# `owner` is whoever alone may see the task, as there. `sought`: GitHub accepted it, or may have, and nobody has seen its run.
TABLES: Final = """
CREATE TABLE dispatch (
    number INTEGER PRIMARY KEY, tenant TEXT NOT NULL, task_id TEXT NOT NULL, repo TEXT NOT NULL, wanted_us INTEGER NOT NULL,
    run_id INTEGER, sought INTEGER NOT NULL, owner TEXT, view TEXT NOT NULL, UNIQUE (tenant, task_id)
);
CREATE INDEX by_repo ON dispatch (tenant, repo, wanted_us, task_id, owner);
CREATE INDEX by_run ON dispatch (tenant, repo, run_id) WHERE run_id IS NOT NULL;
CREATE INDEX by_search ON dispatch (tenant, repo, wanted_us) WHERE sought;
"""

_KEEP: Final = """
INSERT INTO dispatch (tenant, task_id, repo, wanted_us, run_id, sought, view, owner)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, (SELECT owner FROM task WHERE tenant = ?1 AND task_id = ?2))
ON CONFLICT (tenant, task_id) DO UPDATE SET
    repo = excluded.repo, wanted_us = excluded.wanted_us, run_id = excluded.run_id, sought = excluded.sought, view = excluded.view
"""


def keep(db: sqlite3.Connection, view: DispatchView) -> None:
    """Inside the caller's transaction, its task before it."""
    sought = view.run is None and (view.status == "accepted" or (view.status == "wanted" and _unsure(view)))
    run = view.run.run_id if view.run else None
    whole = view.model_dump_json(exclude_defaults=True)
    db.execute(_KEEP, (view.tenant, view.task_id, view.repo, micros(view.wanted_at), run, sought, whole))


def _unsure(view: DispatchView) -> bool:
    return bool(view.tries) and view.tries[-1].outcome in (Outcome.BEGUN, Outcome.TIMEOUT, Outcome.ERROR)


def find(db: sqlite3.Connection, tenant: str, task: str) -> DispatchView | None:
    return _one(db, "tenant = ? AND task_id = ?", (tenant, task))


def of_run(db: sqlite3.Connection, tenant: str, repo: str, run_id: int) -> DispatchView | None:
    """Whose run it is; `repo` however it is spelt."""
    return _one(db, "tenant = ? AND repo = ? AND run_id = ? ORDER BY wanted_us DESC LIMIT 1", (tenant, one_name(repo), run_id))


def sought(db: sqlite3.Connection, tenant: str, repo: str) -> Sequence[DispatchView]:
    """Those that GitHub accepted, or may have, and whose run nobody has seen, the oldest first."""
    where = "tenant = ? AND repo = ? AND sought ORDER BY wanted_us LIMIT ?"
    return _many(db, where, (tenant, one_name(repo), MOST_OPEN))


def page(db: sqlite3.Connection, query: ListDispatches) -> DispatchPage:
    """Of one repository, or of one task whatever its repository."""
    by, name = ("task_id", query.task_id) if query.task_id is not None else ("repo", one_name(query.repo))
    where, values = f"tenant = ? AND {by} = ?", [query.tenant, name]
    if query.seen_by is not None:
        where, values = f"{where} AND (owner IS NULL OR owner = ?)", [*values, query.seen_by]
    (total,) = db.execute(f"SELECT count(*) FROM dispatch WHERE {where}", values).fetchone()
    shown = _many(db, f"{where} ORDER BY wanted_us DESC, task_id DESC LIMIT ?", (*values, query.limit))
    return DispatchPage(dispatches=tuple(shown), total=total)


def _one(db: sqlite3.Connection, where: str, values: Sequence[Value]) -> DispatchView | None:
    row = db.execute(f"SELECT view FROM dispatch WHERE {where}", values).fetchone()
    return DispatchView.model_validate_json(row[0]) if row else None


def _many(db: sqlite3.Connection, where: str, values: Sequence[Value]) -> list[DispatchView]:
    return [DispatchView.model_validate_json(row[0]) for row in db.execute(f"SELECT view FROM dispatch WHERE {where}", values)]
