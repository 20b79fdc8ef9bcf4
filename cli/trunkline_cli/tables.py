"""Tables: tasks and approvals as rows, aligned and in colour where somebody looks, lines with tabs in between elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import JsonValue
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trunkline_cli.exact import exact, exact_text
from trunkline_cli.plain import one_line
from trunkline_cli.shapes import ApprovalShown, TaskShown, clean

STYLES: Final = {
    "pending": "yellow", "assigned": "cyan", "in_progress": "bold blue", "completed": "green", "failed": "bold red", "cancelled": "dim",
    "approved": "green", "rejected": "red", "withdrawn": "dim", "P0": "bold red", "P1": "yellow", "held": "bold magenta",
}  # fmt: skip
_UNITS: Final = ((86400.0, "d"), (3600.0, "h"), (60.0, "m"))
NOTHING: Final = "-"
SOON: Final = 3600.0
"""Seconds before its end from which on a question is pressing."""
NARROW: Final = 110
"""Columns; a terminal with less is shown only what a row cannot do without."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What a column says of one thing; `seen` is what a person is shown in its place, if anything else."""

    text: str
    seen: str = ""
    style: str = ""


class Room(StrEnum):
    """Where a column is shown on a terminal; a script gets them all."""

    ALWAYS = "always"
    WIDE = "wide"
    BELOW = "below"
    """On a narrow terminal below the id."""
    NEVER = "never"
    """An approval's id holds that of its task."""


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    room: Room = Room.ALWAYS


Row = tuple[Cell, ...]
TASKS: Final = (
    Column("task"), Column("status"), Column("type"), Column("prio"), Column("agent", Room.WIDE), Column("age"),
    Column("by", Room.WIDE),
)  # fmt: skip
APPROVALS: Final = (
    Column("approval"), Column("task", Room.NEVER), Column("prio"), Column("what", Room.BELOW), Column("asked by", Room.WIDE),
    Column("age"), Column("time left"), Column("votes"), Column("kind", Room.WIDE),
)  # fmt: skip
HISTORY: Final = (
    Column("approval"), Column("task", Room.NEVER), Column("outcome"), Column("what", Room.BELOW), Column("by"), Column("age"),
    Column("reason", Room.BELOW), Column("kind", Room.WIDE),
)  # fmt: skip


def task_row(task: TaskShown, now: datetime) -> Row:
    """Pure."""
    return (
        Cell(task.task_id),
        Cell(task.status, "held" if task.held else "", STYLES.get("held" if task.held else task.status, "")),
        Cell(one_line(task.type or "")),
        _coloured(task.priority),
        Cell(one_line(task.assigned_agent or "")),
        _age(task.created_at, now),
        Cell(one_line(task.created_by or "")),
    )


def approval_row(approval: ApprovalShown, now: datetime) -> Row:
    """Pure."""
    return (
        Cell(approval.approval_id),
        Cell(approval.task_id),
        _coloured(approval.priority or ""),
        Cell(one_line(approval.what)),
        Cell(one_line(approval.requested_by)),
        _age(approval.requested_at, now),
        _left(approval.expires_at, now),
        Cell(f"{approval.votes}/{approval.quorum}"),
        Cell(one_line(approval.kind)),
    )


def history_row(approval: ApprovalShown, now: datetime) -> Row:
    """Pure."""
    nobody = approval.decided_by not in (None, "human")
    return (
        Cell(approval.approval_id),
        Cell(approval.task_id),
        Cell(approval.status, f"{approval.status} by {approval.decided_by}" if nobody else "", STYLES.get(approval.status, "")),
        Cell(one_line(approval.what)),
        Cell(one_line(approval.decider)),
        _age(approval.decided_at or approval.requested_at, now),
        Cell(one_line(approval.decision_reason or "")),
        Cell(one_line(approval.kind)),
    )


def span(seconds: float) -> str:
    """A time as people say it, in its largest unit: `41s`, `12m`, `3h`, `2d`. Pure."""
    seconds = max(seconds, 0.0)
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= size), (1.0, "s"))
    return f"{int(seconds // size)}{unit}"


def show(columns: Sequence[Column], rows: Iterable[Row], console: Console) -> None:
    """Print them: a table on a terminal; elsewhere one line each, every column, tabs in between and no heading."""
    if not console.is_terminal:
        for row in rows:
            print("\t".join(one_line(cell.text).replace("\t", " ") or NOTHING for cell in row))
        return
    _print_table(columns, rows, console)


def _print_table(columns: Sequence[Column], rows: Iterable[Row], console: Console) -> None:
    narrow = console.width < NARROW
    beside = {Room.ALWAYS} if narrow else {Room.ALWAYS, Room.WIDE, Room.BELOW}
    shown = [place for place, column in enumerate(columns) if column.room in beside]
    below = [place for place, column in enumerate(columns) if narrow and column.room is Room.BELOW]
    table = Table(*(columns[place].name for place in shown), box=None, padding=(0, 2, 0, 0), header_style="bold")
    for place, column in zip(shown, table.columns, strict=True):
        column.no_wrap = place == 0 and not below
        column.overflow = "fold"  # an id that is cut is none
    for row in rows:
        first, *others = (_marked(row[place]) for place in shown)
        under = "".join(f"\n[dim]{_marked(row[place])}[/]" for place in below if row[place].text)
        table.add_row(first + under, *others)
        table.columns[0].min_width = max(table.columns[0].min_width or 0, min(len(row[0].text), console.width))
    console.print(table)


def show_exactly(names: Mapping[str, JsonValue], console: Console) -> None:
    """Print values so that nothing of them is missing: a text on its line, anything else as JSON below its name."""
    for name, value in names.items():
        told = exact_text(value) if isinstance(value, str) else exact(value)
        label, parting = one_line(name), "\n" if "\n" in told else "  " if console.is_terminal else "\t"
        if console.is_terminal:
            console.print(f"[bold]{escape(label)}[/]{parting}{escape(told)}")
        else:
            print(f"{label}{parting}{told}")


def show_one(thing: dict[str, JsonValue], console: Console) -> None:
    """Print every field that says something, one a line."""
    said = {name: value for name, value in thing.items() if value not in (None, "", [], {})}
    width = max(map(len, said), default=0)
    for name, value in said.items():
        text = _text(clean(value))
        if console.is_terminal:
            console.print(f"[dim]{escape(name):<{width}}[/]  {_marked(Cell(text, style=STYLES.get(text, '')))}")
        else:
            print(f"{name}\t{text}")


def _text(value: JsonValue) -> str:
    return one_line(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _coloured(text: str) -> Cell:
    return Cell(text, style=STYLES.get(text, ""))


def _age(at: datetime, now: datetime) -> Cell:
    return Cell(span((now - at).total_seconds()))


def _left(until: datetime | None, now: datetime) -> Cell:
    if until is None:
        return Cell("never")
    seconds = (until - now).total_seconds()
    return Cell(span(seconds) if seconds > 0 else "over", style="bold red" if seconds < SOON else "")


def _marked(cell: Cell) -> str:
    text = escape(cell.seen or cell.text) or NOTHING
    return f"[{cell.style}]{text}[/]" if cell.style else text
