"""Rows of any view in SQLite as they lie there, in the order of their keys."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

from trunkline.contracts.view_rows import Key, ReadRows, View, ViewRow

KEYS: Final[Mapping[View, Sequence[str]]] = {
    "task": ("tenant", "task_id"),
    "alias": ("tenant", "name"),
    "tally": ("tenant", "field", "word"),
    "approval": ("tenant", "task_id", "approval_id"),
    "dispatch": ("tenant", "task_id"),
    "said": ("tenant", "trace_id", "number"),
    "used": ("tenant", "day", "model"),
}
_ROWID: Final = "number"
"""Of most tables only the order in which rows came, which a log that is folded in larger batches need not give again."""
_EMPTY: Final = {"tally": "tasks > 0"}
"""Words that no task has any more are as good as words that no task ever had."""
_DIGITS: Final = 16


def rows(db: sqlite3.Connection, query: ReadRows) -> tuple[ViewRow, ...]:
    keys = KEYS[query.view]
    names, places = ", ".join(keys), ", ".join("?" * len(keys))
    where = [_EMPTY.get(query.view, "1")]
    if query.alive and query.view == "task":
        where.append("status NOT IN ('succeeded', 'failed', 'cancelled')")
    values: Key = query.only or query.after
    if values:
        where.append(f"({names}) {'=' if query.only else '>'} ({places})")
    cursor = db.execute(f"SELECT * FROM {query.view} WHERE {' AND '.join(where)} ORDER BY {names} LIMIT ?", (*values, query.limit))
    columns = [column[0] for column in cursor.description]
    return tuple(_row(dict(zip(columns, row, strict=True)), keys, whole=bool(query.only) or query.alive) for row in cursor)


def _row(columns: dict[str, str | int | None], keys: Sequence[str], *, whole: bool) -> ViewRow:
    key = tuple(columns[name] or "" for name in keys)
    holds = json.dumps({name: value for name, value in columns.items() if name != _ROWID and name not in keys}, sort_keys=True)
    return ViewRow(key=key, digest=sha256(holds.encode()).hexdigest()[:_DIGITS], holds=holds if whole else "")
