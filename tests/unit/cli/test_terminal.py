"""A person gets colours, a heading and a spinner; a script gets text, and may leave when it has enough."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.desk import TASK, TOKEN, Desk, frame, numbered
from tests.unit.cli.served import Served
from tests.unit.cli.terminal import in_a_pipe, on_a_terminal
from trunkline_cli.sockets import free_port

STORY = [
    frame(0, "task.created", {"type": "bugfix"}),
    frame(1, "task.in_progress", {"by": "a"}),
    frame(2, "task.failed", {"error": "It broke."}),
]


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    desk, port = Desk(), free_port()
    page = {"success": True, "count": 100, "total": 100, "next_cursor": None}
    desk.says("GET /tasks", page | {"tasks": list(numbered(100))})
    desk.says(f"GET /tasks/{TASK}/events", STORY)
    with Served(desk.app(), port):
        yield {"TRUNKLINE_URL": f"http://127.0.0.1:{port}", "TRUNKLINE_TOKEN": TOKEN, "TRUNKLINE_DATA_DIR": str(tmp_path)}


def test_a_person_who_watches_gets_colours_and_a_spinner(environment: dict[str, str]) -> None:
    code, said = on_a_terminal(["watch", TASK], environment)
    assert code == 1
    assert "\x1b[1;31mIt broke.\x1b[0m" in said
    assert "the agent is working" in said and "\x1b[?25l" in said, "no spinner"
    assert said.rstrip().endswith("\x1b[?25h") or "\x1b[?25h" in said, "the cursor is gone for good"


def test_a_person_who_lists_gets_a_heading(environment: dict[str, str]) -> None:
    code, said = on_a_terminal(["tasks"], environment)
    assert (code, "prio" in said.splitlines()[0], "\x1b[36massigned\x1b[0m" in said) == (0, True, True)


@pytest.mark.parametrize("words", [["watch", TASK], ["watch", TASK, "--json"], ["tasks"], ["tasks", "--json"]], ids=" ".join)
def test_a_script_gets_no_escape_codes(words: list[str], environment: dict[str, str]) -> None:
    said = in_a_pipe(words, environment)
    assert (said.returncode, said.stderr) == (1 if "watch" in words else 0, "")
    assert said.stdout and "\x1b" not in said.stdout


def test_json_on_a_terminal_is_json_and_no_more(environment: dict[str, str]) -> None:
    code, said = on_a_terminal(["watch", TASK, "--json"], environment)
    assert (code, "\x1b" in said, len(said.splitlines())) == (1, False, 3)


def test_whoever_has_read_enough_may_leave(environment: dict[str, str]) -> None:
    argv = [sys.executable, "-m", "trunkline_cli", "tasks", "--json"]
    process = subprocess.Popen(argv, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout and process.stderr
    process.stdout.close()
    assert (process.stderr.read(), process.wait(30)) == (b"", 1)
    process.stderr.close()


@pytest.mark.parametrize("says", ["", "No space left on device"], ids=["closed", "full"])
def test_what_cannot_be_written_is_a_sentence_and_no_traceback(says: str, environment: dict[str, str]) -> None:
    """Standard output is closed where a daemon started us, and leads to a full disk where a script keeps it."""
    argv = shlex.join([sys.executable, "-m", "trunkline_cli", "tasks"]) + (" > /dev/full" if says else " >&-")
    ran = subprocess.run(["sh", "-c", argv], env=os.environ | environment, stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    assert (ran.returncode, len(ran.stderr.splitlines()), says in ran.stderr) == (int(bool(says)), int(bool(says)), True)
