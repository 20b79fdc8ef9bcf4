"""The log folded anew and compared with what a running relay answers from, view by view and row by row."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final, get_args

import orjson

from trunkline.bus.reading import Reading, reading
from trunkline.bus.settings import BusSettings
from trunkline.bus.visiting import Visit, visiting
from trunkline.contracts.view_rows import Key, ReadRows, RowsRead, View, ViewRow
from trunkline.runtime.clock import now
from trunkline_relay.handlers.rebuild import Rebuild
from trunkline_relay.ports import Views
from trunkline_relay.wiring import rebuilding

PAGE: Final = 500
MOST: Final = 100
"""Differences that are told one by one."""
WITHIN: Final = 15.0
NOBODY: Final = "-"


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that the relay holds otherwise than the log says."""

    view: str
    key: str
    live: str
    anew: str


@dataclass(slots=True)
class Compared:
    """What came of it."""

    records: int = 0
    rows: int = 0
    seconds: float = 0.0
    """For folding the whole log."""
    others: bool = False
    """The relay folds by other code than ours: of another version."""
    differ: int = 0
    differences: list[Difference] = field(default_factory=list)


async def compare(settings: BusSettings) -> Compared:
    """Raises NotFound NO_LOG, Unavailable when no relay answers or the log cannot be read."""
    async with visiting(settings) as visit, reading(settings) as log:
        extent = await log.extent()
        with rebuilding(extent.life.epoch) as (rebuild, views):
            done, anew = Compared(), Anew(log, rebuild, views)
            began = time.monotonic()
            await anew.up_to(extent.last)
            done.seconds, done.records = time.monotonic() - began, extent.last - extent.first + 1 if extent.last else 0
            for view in get_args(View):
                await _view(visit, anew, view, done)
    return done


class Anew:
    """The views that are being made, and how far in the log they are."""

    def __init__(self, log: Reading, rebuild: Rebuild, views: Views) -> None:
        self._log = log
        self._rebuild = rebuild
        self._views = views
        self._seq = 0

    async def up_to(self, seq: int) -> None:
        """The relay is never behind what the log held when it was asked, so it is always we who catch up."""
        if seq > self._seq:
            await self._log.all(self._rebuild.take, self._seq + 1, seq)
            self._rebuild.settle()
            self._seq = seq

    @property
    def form(self) -> str:
        return self._views.rows(_asked("tally", limit=1)).form

    def rows(self, query: ReadRows) -> tuple[ViewRow, ...]:
        return self._views.rows(query).rows


async def _view(visit: Visit, anew: Anew, view: View, done: Compared) -> None:
    async for after, live in _pages(visit, anew, view, done):
        beyond = live[-1].key if len(live) == PAGE else ()
        ours = {row.key: row for row in anew.rows(_asked(view, after=after, limit=2 * PAGE)) if not beyond or row.key <= beyond}
        theirs = {row.key: row for row in live}
        done.rows += len(theirs)
        other = [key for key in sorted({*ours, *theirs}) if _digest(ours, key) != _digest(theirs, key)]
        done.differ += len(other)
        for key in other[: MOST - len(done.differences)]:
            done.differences.append(await _difference(visit, anew, view, key))


def _digest(rows: Mapping[Key, ViewRow], key: Key) -> str:
    return rows[key].digest if key in rows else ""


async def _pages(visit: Visit, anew: Anew, view: View, done: Compared) -> AsyncIterator[tuple[Key, tuple[ViewRow, ...]]]:
    """Of the relay's rows; each time our own views are made to hold just what the relay's did."""
    after: Key = ()
    while True:
        read = await _read(visit, anew, _asked(view, after=after))
        done.others = done.others or read.form != anew.form
        yield after, read.rows
        if len(read.rows) < PAGE:
            return
        after = read.rows[-1].key


async def _read(visit: Visit, anew: Anew, query: ReadRows) -> RowsRead:
    said = await visit.commands.send("relay", NOBODY, query, timeout=WITHIN)
    await anew.up_to(said.seq)
    return RowsRead.model_validate(said.body)


async def _difference(visit: Visit, anew: Anew, view: View, key: Key) -> Difference:
    query = _asked(view, only=key)
    theirs, ours = (await _read(visit, anew, query)).rows, anew.rows(query)
    live, made = _holds(theirs), _holds(ours)
    names = sorted(name for name in {*live, *made} if live.get(name) != made.get(name))
    return Difference(view, "/".join(map(str, key)), _some(live, names, theirs), _some(made, names, ours))


def _holds(rows: tuple[ViewRow, ...]) -> dict[str, object]:
    """What a row holds, the fields of a view among its columns."""
    if not rows:
        return {}
    columns: dict[str, object] = orjson.loads(rows[0].holds)
    view = columns.pop("view", None)
    return {**columns, **(orjson.loads(view) if isinstance(view, str) else {})}


def _some(holds: dict[str, object], names: list[str], rows: tuple[ViewRow, ...]) -> str:
    return " ".join(f"{name}={holds.get(name)}" for name in names) if rows else "(not there)"


def _asked(view: View, *, after: Key = (), only: Key = (), limit: int = PAGE) -> ReadRows:
    return ReadRows(tenant=NOBODY, at=now(), view=view, after=after, only=only, limit=limit)
