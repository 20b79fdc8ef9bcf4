"""Pages of tasks in SQLite: which index finds, which one orders, and where a page goes on.

The ways are chosen here and not by SQLite: without statistics it guesses, and a wrong guess costs a hundred times the right one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from trunkline.contracts.views import ListTasks, TaskPage, TaskSort, TaskView
from trunkline.contracts.work_types import canonical
from trunkline_relay.adapters.sqlite_store import Value, micros
from trunkline_relay.adapters.sqlite_tasks import TALLIED, tallied
from trunkline_relay.model.bookmarks import read, write

FEW: Final = 2_000
"""So many that match are sorted faster than the next twenty of them are met on a walk through all."""


@dataclass(frozen=True, slots=True)
class _Order:
    """`index` gives rows by `key`; `onward` says which of two comes later."""

    index: str
    key: str
    onward: str
    direction: str


_NEWEST: Final = _Order("by_submitted", "submitted_us, task_id", "<", "submitted_us DESC, task_id DESC")
_ORDERS: Final[Mapping[TaskSort, _Order]] = {
    TaskSort.NEWEST: _NEWEST,
    TaskSort.OLDEST: _Order("by_submitted", "submitted_us, task_id", ">", "submitted_us, task_id"),
    TaskSort.UPDATED: _Order("by_updated", "updated_us, task_id", "<", "updated_us DESC, task_id DESC"),
    TaskSort.PRIORITY: _Order("by_priority", "priority, submitted_us, task_id", ">", "priority, submitted_us, task_id"),
}
_FINDERS: Final[Mapping[str, str]] = {
    "trace_id": "by_trace", "parent": "by_parent", "fingerprint": "by_fingerprint", "login": "by_login", "submitted_by": "by_submitter",
    "source": "by_source", "pool": "by_pool", "type": "by_type", "priority": "by_priority", "status": "by_status",
}  # fmt: skip
"""Column and index that finds by it; those that tell most come first, and so are looked at first in every row."""
_KIND: Final = "surface"
"""Tells so little that nothing is found by it; every order has it at hand."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a query filters by."""

    tenant: str
    words: Mapping[str, Sequence[Value]]
    """Column and the values that will do, none for a column that does not matter."""
    bounds: Sequence[tuple[str, Value]]
    seen_by: str | None

    def where(self, ordered_by: str = "") -> str:
        """As a condition; `ordered_by` is the first column of the order in which a page goes on."""
        words = (_condition(column, len(values), ordered_by) for column, values in self.words.items())
        hidden = ("(owner IS NULL OR owner = ?)",) if self.seen_by is not None else ()
        return " AND ".join(("tenant = ?", *words, *(bound for bound, _ in self.bounds), *hidden))

    @property
    def values(self) -> tuple[Value, ...]:
        words = (value for values in self.words.values() for value in values)
        return (self.tenant, *words, *(value for _, value in self.bounds), *(() if self.seen_by is None else (self.seen_by,)))


def _condition(column: str, values: int, ordered_by: str = "") -> str:
    # The plus keeps SQLite from beginning a page that goes on in priority order at the first task of the priority.
    return f"{'+' if column == ordered_by else ''}{column} IN ({', '.join('?' * values)})"


def page(db: sqlite3.Connection, query: ListTasks) -> TaskPage:
    """Raises Invalid for a cursor of another order."""
    asked, after = _asked(query), read(query.sort, query.after)
    finder = _finder(db, asked)
    total = _total(db, asked, finder)
    rows = _rows(db, query, after, _walked(asked, query.sort, finder, total)) if total else []
    shown = rows[: query.limit]
    views = tuple(_view(db, row[0]) for row in shown)
    return TaskPage(tasks=views, total=total, next=write(query.sort, shown[-1][1:]) if len(rows) > len(shown) else None)


def _finder(db: sqlite3.Connection, asked: _Asked) -> str:
    """The index that finds everything that matches, and not much else."""
    findable = [column for column in asked.words if column in _FINDERS]
    telling = findable if len(asked.words) == 1 else (column for column in findable if _few(db, asked, column))
    return next((_FINDERS[column] for column in telling), _NEWEST.index)


def _few(db: sqlite3.Connection, asked: _Asked, column: str) -> bool:
    """Whether this one word alone leaves few."""
    values = asked.words[column]
    found = f"SELECT 1 FROM task INDEXED BY {_FINDERS[column]} WHERE tenant = ? AND {_condition(column, len(values))} LIMIT ?"
    return bool(db.execute(f"SELECT count(*) <= ? FROM ({found})", (FEW, asked.tenant, *values, FEW + 1)).fetchone()[0])


def _walked(asked: _Asked, sort: TaskSort, finder: str, total: int) -> str:
    """The index to gather a page from: the finder where that gives the order anyway, or so little that sorting is nothing."""
    in_order = _ORDERS[sort].index == _NEWEST.index and all(len(values) == 1 for values in asked.words.values())
    return finder if total <= FEW or in_order else _ORDERS[sort].index


def _rows(db: sqlite3.Connection, query: ListTasks, after: tuple[Value, ...], index: str) -> list[tuple[Value, ...]]:
    """Number and key of each row of the page, and of one more."""
    asked, order = _asked(query), _ORDERS[query.sort]
    where = asked.where(order.key.partition(",")[0]) if after else asked.where()
    beyond = f" AND ({order.key}) {order.onward} ({', '.join('?' * len(after))})" if after else ""
    return db.execute(
        f"SELECT number, {order.key} FROM task INDEXED BY {index} WHERE {where}{beyond} ORDER BY {order.direction} LIMIT ? OFFSET ?",
        (*asked.values, *after, query.limit + 1, query.offset),
    ).fetchall()


def _total(db: sqlite3.Connection, asked: _Asked, finder: str) -> int:
    """Of what whoever asks may see: of everything without what is hidden, for that is little or nothing."""
    return _in_all(db, replace(asked, seen_by=None), finder) - _hidden(db, asked)


def _in_all(db: sqlite3.Connection, asked: _Asked, finder: str) -> int:
    if asked.bounds or not set(asked.words) <= TALLIED or len(asked.words) > 1:
        found = db.execute(f"SELECT count(*) FROM task INDEXED BY {finder} WHERE {asked.where()}", asked.values)
        return int(found.fetchone()[0])
    field, words = next(iter(asked.words.items()), ("status", ()))
    return tallied(db, asked.tenant, field, words)


def _hidden(db: sqlite3.Connection, asked: _Asked) -> int:
    if asked.seen_by is None:
        return 0
    every = replace(asked, seen_by=None)
    found = f"SELECT count(*) FROM task INDEXED BY by_owner WHERE {every.where()} AND owner IS NOT NULL AND owner <> ?"
    return int(db.execute(found, (*every.values, asked.seen_by)).fetchone()[0])


def _view(db: sqlite3.Connection, number: Value) -> TaskView:
    return TaskView.model_validate_json(db.execute("SELECT coalesce(brief, view) FROM task WHERE number = ?", (number,)).fetchone()[0])


def _asked(query: ListTasks) -> _Asked:
    words: dict[str, Sequence[Value]] = {
        "status": sorted({*query.statuses, *([query.status] if query.status else [])}),
        "type": sorted({canonical(word) for word in query.types}),
        "priority": sorted(set(query.priorities)),
    }
    words["login"] = [query.login.lower()] if query.login is not None else []
    for column in ("pool", "source", "parent", "trace_id", "submitted_by", "surface", "fingerprint"):
        value: str | None = getattr(query, column)
        words[column] = [] if value is None else [value]
    bounds = {"submitted_us >= ?": query.submitted_from, "submitted_us < ?": query.submitted_before}
    return _Asked(
        query.tenant,
        {column: words[column] for column in (*_FINDERS, _KIND) if words[column]},
        [(bound, micros(at)) for bound, at in bounds.items() if at is not None],
        query.seen_by,
    )
