"""A trace on the terminal: its spans as a tree, each as a bar where its time lies; lines with tabs in between elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict, JsonValue
from rich.console import Console
from rich.table import Table
from rich.text import Text

from trunkline_cli.exact import exact_text
from trunkline_cli.plain import Plain, one_line, plain
from trunkline_cli.shapes import PlainObject

COLOURS: Final = {"gateway": "cyan", "router": "green", "approvals": "magenta", "sandbox": "yellow", "relay": "blue"}
LEAST_BAR: Final = 20
MOST_BAR: Final = 80
NAMES: Final = 60
"""Columns that the names take at most; the bars have the rest."""
_BAR: Final = "█"
_POINT: Final = "▏"
_MISSING: Final = "… "
"""Before the name of what is part of a span that nobody kept."""


class SpanShown(BaseModel):
    """One span of the answer."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    span_id: str
    parent_id: str | None = None
    service: Plain
    name: Plain
    started_at: datetime
    duration_ms: float
    error: Plain | None = None
    attributes: PlainObject = {}

    @property
    def began_ms(self) -> float:
        return self.started_at.timestamp() * 1000

    @property
    def ended_ms(self) -> float:
        return self.began_ms + self.duration_ms


class Found(BaseModel):
    """As much of the answer as is shown."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    trace_id: Plain
    w3c_trace_id: Plain = ""
    spans: tuple[SpanShown, ...] = ()


class Row(NamedTuple):
    """A span at its place in the tree."""

    span: SpanShown
    depth: int
    lost: bool
    """What it is part of is not there."""


def rows(spans: Sequence[SpanShown]) -> Iterator[Row]:
    """Each below what it is part of, in the order in which they began. Pure."""
    known = {span.span_id for span in spans}
    below: dict[str, list[SpanShown]] = {}
    for span in sorted(spans, key=lambda each: each.began_ms):
        below.setdefault(span.parent_id if span.parent_id in known and span.parent_id != span.span_id else "", []).append(span)
    waiting = [Row(span, 0, bool(span.parent_id)) for span in reversed(below.get("", []))]
    while waiting:
        row = waiting.pop()
        yield row
        waiting += [Row(span, row.depth + 1, lost=False) for span in reversed(below.pop(row.span.span_id, []))]


def bar(span: SpanShown, whole: tuple[float, float], width: int) -> str:
    """Where its time lies in the whole, in so many columns. Pure."""
    began, took = whole[0], max(whole[1] - whole[0], 0.001)
    first = min(int((span.began_ms - began) / took * width), width - 1)
    length = min(round(span.duration_ms / took * width), width - first)
    return " " * first + (_BAR * length or _POINT)


def took(ms: float) -> str:
    """`0.4 ms`, `12 ms`, `3.2 s`, `4 m 10 s`. Pure."""
    if ms < 9.95:
        return f"{ms:.1f} ms"
    if ms < 999.5:
        return f"{ms:.0f} ms"
    if ms < 99_950:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    return f"{minutes} m {seconds} s"


def show(found: Found, console: Console) -> None:
    """The whole of it."""
    if console.is_terminal:
        _draw(found, console)
        return
    for row in rows(found.spans):
        span = row.span
        cells = (str(row.depth), span.service, span.name, f"{span.duration_ms:.3f}", span.error or "-", span.started_at.isoformat())
        print("\t".join(map(exact_text, cells)), flush=True)


def _draw(found: Found, console: Console) -> None:
    whole = min(span.began_ms for span in found.spans), max(span.ended_ms for span in found.spans)
    console.print(f"{found.trace_id}  {len(found.spans)} spans, {took(whole[1] - whole[0])}", markup=False)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=NAMES)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True, overflow="crop")
    width = max(LEAST_BAR, min(MOST_BAR, console.width - NAMES - 12))
    for row in rows(found.spans):
        colour = "bold red" if row.span.error else COLOURS.get(row.span.service, "white")
        table.add_row(_name(row, colour), took(row.span.duration_ms), Text(bar(row.span, whole, width), style=colour))
    console.print(table)


def _name(row: Row, colour: str) -> Text:
    span = row.span
    name = Text("  " * row.depth + (_MISSING if row.lost else ""))
    name.append(span.service, style=colour)
    name.append(f" {one_line(span.name)}")
    if told := " ".join(f"{key}={_short(value)}" for key, value in span.attributes.items()):
        name.append(f" {told}", style="dim")
    if span.error:
        name.append(f" {one_line(span.error)}", style="bold red")
    return name


def _short(value: JsonValue) -> str:
    return one_line(plain(str(value)))[:40]
