"""No text of a stranger drives the terminal of whoever looks at it."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from tests.each import each
from trunkline_cli import tidings, timeline
from trunkline_cli.api import StreamEvent, read
from trunkline_cli.blocks import Block
from trunkline_cli.plain import one_line, plain
from trunkline_cli.shapes import TaskEvent
from trunkline_cli.timeline import line

DRIVING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
HOSTILE = "\x1b[2J\x1b]0;pwn\x07red\n"


@each(
    ("text", "left"),
    [
        (HOSTILE, "red\n"),
        ("\x1b[31;1mred\x1b[0m", "red"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;cm0gLXJmIH4=\x07after", "after"),
        ("\x1b]0;never ended\nnext line", "\nnext line"),
        ("\x9b2Jc1\x9d0;t\x9cend", "c1end"),
        ("\x1bPq#0;2\x1b\\sixel", "sixel"),
        ("\x1b(B\x1bc\x1b7text", "text"),
        ("\x1b[?1049h\x1b[>4;1mmodes", "modes"),
        ("cut off \x1b[12;", "cut off "),
        ("cut off \x1b", "cut off "),
        ("over\x08\x08written\x00", "overwritten"),
        ("10 %\r20 %\r\nend", "10 %\n20 %\nend"),
        ("invoice\u202egnp.exe\u2066", "invoicegnp.exe"),
        ("a\tb\nc", "a\tb\nc"),
        ("Grüße, 世界 👩\u200d💻 [bold]", "Grüße, 世界 👩\u200d💻 [bold]"),
        ("half \ud800", "half "),
    ],
)
def test_sequences_go_whole_and_text_stays(text: str, left: str) -> None:
    assert plain(text) == left


@given(st.text(st.characters(codec=None) | st.sampled_from("\x1b\x9b\x9d[]P;0mJ\x07\\\u202e\n")))
def test_whatever_comes_nothing_that_drives_a_terminal_is_left(text: str) -> None:
    assert not DRIVING.search(plain(text))
    assert plain(plain(text)) == plain(text)


def test_one_line_is_one_line() -> None:
    assert one_line("it failed\n  0.63 s  done\x0bpull request\u2028#1") == "it failed 0.63 s  done pull request #1"


def event(**fields: object) -> StreamEvent:
    found = read(Block("1", "", json.loads(json.dumps({"timestamp": "2026-01-01T00:00:00Z", **fields}))))
    assert found
    return found


@each(
    "fields",
    [
        {"type": "agent", "eventType": "message", "output": HOSTILE},
        {"type": "agent", "eventType": "message", "display": HOSTILE},
        {"type": "agent", "eventType": "tool_call", "tool": HOSTILE, "display": HOSTILE},
        {"type": "agent", "eventType": "tool_result", "output": HOSTILE},
        {"type": "agent", "eventType": "thinking", "output": HOSTILE},
        {"type": "status", "phase": HOSTILE, "message": HOSTILE},
        {"type": "error", "error": HOSTILE},
        {"type": HOSTILE, "message": HOSTILE},
        {"type": "result", "result": {"fixBranch": HOSTILE, "prNumber": 1, "prUrl": HOSTILE, "commitSha": HOSTILE}},
    ],
)
def test_no_event_of_an_agent_reaches_the_terminal_undressed(fields: dict[str, object]) -> None:
    found = event(**fields)
    shown = line(timeline.tell(found), 0)
    assert not DRIVING.search(shown)
    assert "\n" not in shown
    assert "pwn" not in repr(found)


@each("name", [*tidings.NAMES, HOSTILE])
def test_no_event_of_a_task_reaches_the_terminal_undressed(name: str) -> None:
    words = "type source created_by assigned_agent subject approval_id by due_at error cause reason verdict decided_by message phase"
    more = "tool display output provider isolation deadline child_task_id caveat branch commit files_changed additions deletions stage kind"
    payload: dict[str, object] = dict.fromkeys(f"{words} {more}".split(), HOSTILE)
    payload |= {"reasons": [HOSTILE], "result": {"pull_request": HOSTILE, "pull_request_url": HOSTILE}, HOSTILE: HOSTILE}
    for said in ({}, {"published_by": HOSTILE, "source_agent": HOSTILE}):
        body = {"event_type": name, "timestamp": "2026-01-01T00:00:00Z", "payload": payload, **said}
        told = tidings.tell(TaskEvent.model_validate(body))
        assert told is None or not DRIVING.search(line(told, 0))
        assert told is None or ("\n" not in line(told, 0) and "pwn" not in line(told, 0))
