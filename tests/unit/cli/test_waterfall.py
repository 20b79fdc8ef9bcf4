"""A trace as it is drawn: what is part of what, where its bar lies, and that no stranger's text drives the terminal."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

from rich.console import Console

from trunkline_cli.waterfall import Found, SpanShown, bar, rows, show, took

BEGAN = datetime(2026, 11, 22, 12, tzinfo=UTC)


def span(id: str, parent: str | None = None, at_ms: float = 0, ms: float = 10, **fields: object) -> SpanShown:
    began = BEGAN + timedelta(milliseconds=at_ms)
    whole = {"span_id": id, "parent_id": parent, "service": "router", "name": id, "started_at": began, "duration_ms": ms, **fields}
    return SpanShown.model_validate(whole)


def test_each_stands_below_what_it_is_part_of_in_the_order_in_which_they_began() -> None:
    spans = [span("late", "root", 5), span("root"), span("deep", "early", 2), span("early", "root", 1)]
    assert [(row.span.name, row.depth) for row in rows(spans)] == [("root", 0), ("early", 1), ("deep", 2), ("late", 1)]


def test_what_lost_its_parent_and_what_runs_in_a_circle_is_shown_all_the_same() -> None:
    found = list(rows([span("orphan", "gone"), span("own", "own")]))
    assert {(row.span.name, row.lost) for row in found} == {("orphan", True), ("own", True)}
    assert [row.span.name for row in rows([span("a", "b"), span("b", "a"), span("root")])][:1] == ["root"]


def test_a_bar_lies_where_its_time_lies() -> None:
    whole = span("x").began_ms, span("x").began_ms + 100
    assert bar(span("x", at_ms=50, ms=50), whole, 10) == "     █████"
    assert bar(span("x", at_ms=100, ms=0), whole, 10) == "         ▏"


def test_times_are_short() -> None:
    assert [took(ms) for ms in (0.04, 12.4, 3210, 250_000)] == ["0.0 ms", "12 ms", "3.2 s", "4 m 10 s"]


def test_it_fits_its_terminal_and_nothing_in_it_drives_that() -> None:
    text = io.StringIO()
    spans = (span("root", name="\x1b[2Jevil\x07", error="\x1b]0;title\x07BAD"), span("part", "root", 2, 3, attributes={"k": "\x1b[1m"}))
    show(Found(trace_id="t", spans=spans), Console(file=text, force_terminal=True, width=100, color_system=None))
    assert "evil" in text.getvalue()
    assert "\x1b[2J" not in text.getvalue()
    assert max(map(len, text.getvalue().splitlines())) <= 100
