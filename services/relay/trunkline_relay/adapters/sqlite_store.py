"""One SQLite file or memory for views: a cache of the log, thrown away whenever it does not fit the log any more."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from trunkline.contracts.errors import Conflict

log = structlog.get_logger()

Value = str | int
ORIGIN: Final = "CREATE TABLE origin (epoch TEXT NOT NULL, form TEXT NOT NULL, checkpoint INTEGER NOT NULL);"
CACHE_KIB: Final = 64 << 10
"""Of the file in memory: the indexes of some 100,000 tasks. Without it a list reads thousands of pages from the system one by one."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Fit:
    """What a file must be to be gone on with: folded from this log, by code of this form."""

    epoch: str
    form: str
    last_seq: int


def micros(at: datetime) -> int:
    """Microseconds since 1970; a time without an offset is UTC."""
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)


def open_store(path: Path | None, fit: Fit, tables: str) -> sqlite3.Connection:
    """What is kept at `path` if it fits, else empty `tables`; None keeps them in memory.

    Raises Conflict when another process has the file.
    """
    if path is None:
        return make(":memory:", fit, tables)
    path.parent.mkdir(parents=True, exist_ok=True)
    db, unfit = _open(path, fit)
    if db is None:
        log.info("relay.views_made_anew", reason=unfit)
        for suffix in ("", "-wal", "-shm", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        db = make(path, fit, tables)
    return db


def _open(path: Path, fit: Fit) -> tuple[sqlite3.Connection | None, str]:
    if not path.exists():
        return None, "no file"
    db = sqlite3.connect(path, isolation_level=None, timeout=0.5)
    try:
        _prepare(db)
        unfit = _unfit(db, fit)
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


def _unfit(db: sqlite3.Connection, fit: Fit) -> str:
    """Why these views cannot be gone on with; empty when they can."""
    (sound,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if sound != "ok":
        return f"damaged: {sound}"
    found = db.execute("SELECT epoch, form, checkpoint FROM origin").fetchone()
    if found is None or found[0] != fit.epoch:
        return "of another log"
    if found[1] != fit.form:
        return "of another version"
    return "" if found[2] <= fit.last_seq else "ahead of the log"


def make(path: Path | str, fit: Fit, tables: str, *, handed_on: bool = False) -> sqlite3.Connection:
    """Empty `tables` where nothing is yet; where they are handed on, from one thread to the next, to one at a time."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=not handed_on)
    _prepare(db)
    db.executescript(f"BEGIN IMMEDIATE; {ORIGIN} {tables}")
    db.execute("INSERT INTO origin (epoch, form, checkpoint) VALUES (?, ?, 0)", (fit.epoch, fit.form))
    db.execute("COMMIT")
    return db


def _prepare(db: sqlite3.Connection) -> None:
    # The lock says that the file has one owner; without it two would fold into the same file.
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    # Each statement that a trigger follows keeps what the pages were before it: in a file that is 36 writes a task.
    db.execute("PRAGMA temp_store = MEMORY")
