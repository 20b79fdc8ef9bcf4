"""Lists of tasks and approvals: what stands in a row, and how it looks to a person and to a script."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import JsonValue
from rich.console import Console

from tests.each import each
from trunkline_cli import tables
from trunkline_cli.exact import exact_text
from trunkline_cli.shapes import ApprovalShown, TaskShown
from trunkline_cli.tables import span

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
TASK = f"task_{'0af3' * 8}"
APPROVAL = f"approval_{'0af3' * 8}"


def ago(**spans: float) -> str:
    return (NOW - timedelta(**spans)).isoformat()


def task(**fields: object) -> TaskShown:
    body = {"task_id": TASK, "type": "bugfix", "status": "assigned", "priority": "P1", "assigned_agent": "dev_agent", "created_by": "ann"}
    return TaskShown.model_validate({**body, "created_at": ago(minutes=5), **fields})


def approval(**fields: object) -> ApprovalShown:
    body = {"approval_id": APPROVAL, "task_id": TASK, "priority": "P0", "subject": "Begin the bugfix", "status": "pending", "quorum": 2}
    body["kind"] = "task"
    return ApprovalShown.model_validate({**body, "requested_by": "ann", "requested_at": ago(hours=2), "votes": 1, **fields})


def texts(row: tables.Row) -> list[str]:
    return [cell.text for cell in row]


def terminal(width: int) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, color_system="standard", highlight=False)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@each(
    ("seconds", "said"),
    [(-3, "0s"), (0, "0s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h"), (86399, "23h"), (86400, "1d"), (40e6, "462d")],
)
def test_a_time_is_said_in_its_largest_unit(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_a_task_is_a_row() -> None:
    assert texts(tables.task_row(task(), NOW)) == [TASK, "assigned", "bugfix", "P1", "dev_agent", "5m", "ann"]
    assert texts(tables.task_row(task(type=None, assigned_agent=None), NOW))[2:5] == ["", "P1", ""]


def test_a_task_that_waits_for_a_word_is_seen_to_wait_until_it_is_over() -> None:
    held = tables.task_row(task(approval_status="pending"), NOW)[1]
    assert (held.text, held.seen, held.style) == ("assigned", "held", "bold magenta")
    assert tables.task_row(task(approval_status="pending", status="cancelled"), NOW)[1].seen == ""
    assert tables.task_row(task(approval_status="approved"), NOW)[1].seen == ""


def test_an_approval_is_a_row_with_its_votes_and_the_time_that_is_left() -> None:
    row = tables.approval_row(approval(expires_at=(NOW + timedelta(minutes=30)).isoformat()), NOW)
    assert texts(row) == [APPROVAL, TASK, "P0", "Begin the bugfix", "ann", "2h", "30m", "1/2", "task"]
    assert row[6].style == "bold red"
    assert texts(tables.approval_row(approval(), NOW))[6] == "never"
    assert texts(tables.approval_row(approval(expires_at=ago(seconds=1)), NOW))[6] == "over"


def test_what_was_decided_says_who_by_what_and_why() -> None:
    decided = {"decided_by": "human", "decided_at": ago(minutes=1)}
    rejected = approval(status="rejected", rejected_by="bob", decision_reason="too late", **decided)
    assert texts(tables.history_row(rejected, NOW)) == [APPROVAL, TASK, "rejected", "Begin the bugfix", "bob", "1m", "too late", "task"]
    timeout = tables.history_row(approval(status="rejected", decided_by="timeout", decided_at=ago(minutes=1)), NOW)
    assert (timeout[2].text, timeout[2].seen) == ("rejected", "rejected by timeout")


def test_the_call_of_a_tool_is_shown_as_it_would_run_and_a_break_in_it_is_seen() -> None:
    about = {"tool": "Bash", "argument": "make test\nrm -rf /", "input": {}, "offers": ["once"]}
    assert texts(tables.approval_row(approval(about=about), NOW))[3] == "Bash: make test\\nrm -rf /"
    assert approval(about={"left_out": 5000}).what == approval(about={"tool": 7}).what == approval(about=None).what == "Begin the bugfix"


def test_what_would_be_done_is_printed_so_that_nothing_of_it_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    about: dict[str, JsonValue] = {"tool": "Bash", "argument": "ls\n[red]x[/]", "input": {"command": "ls", "why": "é\u202e\x1b[2J\u200b"}}
    tables.show_exactly({**about, "long": {"text": "x" * 200}}, Console())
    said = capsys.readouterr().out.splitlines()
    assert said[:3] == ["tool\tBash", "argument\tls\\n[red]x[/]", 'input\t{"command": "ls", "why": "é\\u202e\\u001b[2J\\u200b"}']
    assert said[3:] == ["long", "{", f'  "text": "{"x" * 200}"', "}"]
    console = terminal(100)
    tables.show_exactly(about, console)
    assert "[red]x[/]" in printed(console)


@pytest.mark.parametrize(
    ("text", "told"), [('say "a\\b"', 'say "a\\\\b"'), ("a\xa0b\u2028c", "a\\u00a0b\\u2028c"), ("\U000e0041", "\\U000e0041")]
)
def test_what_a_terminal_would_hide_is_told_by_its_number(text: str, told: str) -> None:
    assert exact_text(text) == told


def test_a_script_gets_every_column_with_tabs_and_no_heading(capsys: pytest.CaptureFixture[str]) -> None:
    tables.show(tables.TASKS, [tables.task_row(task(type="a\tb\nc"), NOW), tables.task_row(task(created_by=None), NOW)], Console())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("\t") == [TASK, "assigned", "a b c", "P1", "dev_agent", "5m", "ann"]
    assert lines[1].split("\t")[-1] == "-"
    assert len(lines) == 2


@pytest.mark.parametrize("width", [200, 80, 60])
def test_an_id_is_never_cut_however_narrow_the_terminal(width: int) -> None:
    console = terminal(width)
    tables.show(tables.TASKS, [tables.task_row(task(), NOW)], console)
    tables.show(tables.APPROVALS, [tables.approval_row(approval(subject="Begin " * 40), NOW)], console)
    assert TASK in printed(console) and APPROVAL in printed(console)
    assert ("dev_agent" in printed(console)) == (width == 200)
    assert printed(console).count("Begin") == 40


def test_eighty_columns_are_enough_for_everything_that_matters() -> None:
    console = terminal(80)
    tables.show(tables.TASKS, [tables.task_row(task(type="documentation", status="in_progress"), NOW)], console)
    tables.show(tables.APPROVALS, [tables.approval_row(approval(subject="Begin the deployment"), NOW)], console)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", printed(console)).splitlines()
    assert lines[1].split() == [TASK, "in_progress", "documentation", "P1", "5m"]
    assert [lines[3].split(), lines[4].strip()] == [[APPROVAL, "P0", "2h", "never", "1/2"], "Begin the deployment"]


def test_a_terminal_gets_a_heading_and_colours_and_no_markup_of_a_stranger() -> None:
    console = terminal(200)
    tables.show(tables.TASKS, [tables.task_row(task(type="[red]x[/]", approval_status="pending"), NOW)], console)
    assert "\x1b[1;35mheld\x1b[0m" in printed(console)
    assert "[red]x[/]" in printed(console)


def test_one_thing_is_shown_with_every_field_that_says_something(capsys: pytest.CaptureFixture[str]) -> None:
    tables.show_one({"task_id": TASK, "error": None, "payload": {"a": "\x1b[2Jb"}, "metadata": {}, "retry_count": 0}, Console())
    assert capsys.readouterr().out.splitlines() == [f"task_id\t{TASK}", 'payload\t{"a": "b"}', "retry_count\t0"]
    console = terminal(100)
    tables.show_one({"task_id": TASK, "status": "failed"}, console)
    assert "\x1b[1;31mfailed\x1b[0m" in printed(console)
