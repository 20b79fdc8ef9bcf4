"""The token for a private repository, from the command line: from its variable to the request, and nowhere else."""

from __future__ import annotations

import pytest

from tests.unit.cli.conftest import Trunkline
from tests.unit.cli.desk import HEX, TASK, Desk
from trunkline_cli.sources import OUTSIDE

GITHUB = "ghp_" + "a1B2" * 9
EXECUTE = "POST /api/pr-agent/execute"
CREATE = ("tasks", "create", "--type", "bugfix", "--payload", "{}")


@pytest.fixture
def asked(desk: Desk) -> Desk:
    desk.says(EXECUTE, {"jobId": HEX, "streamUrl": "/s"})
    made = {"task_id": TASK, "message": "Task created"}
    for path in ("/tasks", f"/tasks/{TASK}/continue", f"/tasks/{TASK}/fork"):
        desk.says(f"POST {path}", made)
    return desk


def test_run_sends_it_in_the_body_and_prints_nothing_of_it(asked: Desk, trunkline: Trunkline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNKLINE_GITHUB_TOKEN", f" {GITHUB}\n")
    code, out, err = trunkline("run", "acme/shop", "Fix it")
    assert (code, GITHUB in out + err) == (0, False)
    assert asked.asked[-1].body["githubToken"] == GITHUB
    monkeypatch.delenv("TRUNKLINE_GITHUB_TOKEN")
    trunkline("run", "acme/shop", "Fix it")
    assert "githubToken" not in asked.asked[-1].body


@pytest.mark.parametrize("words", [CREATE, ("continue", TASK, "go on"), ("fork", TASK, "go on")], ids=lambda words: words[0])
def test_whatever_makes_a_task_sends_it_as_a_header(
    asked: Desk, trunkline: Trunkline, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("TRUNKLINE_GITHUB_TOKEN", GITHUB)
    code, out, err = trunkline(*words)
    assert (code, GITHUB in out + err) == (0, False)
    assert asked.asked[-1].headers["X-GitHub-Token"] == GITHUB
    assert GITHUB not in str(asked.asked[-1].body)


def test_what_only_reads_sends_none_and_the_variable_of_other_programs_is_not_looked_at(
    asked: Desk, trunkline: Trunkline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUNKLINE_GITHUB_TOKEN", GITHUB)
    asked.says("GET /tasks", {"tasks": [], "count": 0, "total": 0})
    trunkline("tasks")
    monkeypatch.delenv("TRUNKLINE_GITHUB_TOKEN")
    monkeypatch.setenv("GITHUB_TOKEN", GITHUB)
    trunkline("run", "acme/shop", "Fix it")
    assert len(asked.asked) == 2
    assert GITHUB not in str(asked.asked)


def test_what_is_no_token_is_refused_before_anybody_is_asked(asked: Desk, trunkline: Trunkline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNKLINE_GITHUB_TOKEN", "two words, not one")
    code, out, err = trunkline("run", "acme/shop", "Fix it")
    assert (code, asked.asked) == (2, [])
    assert "TRUNKLINE_GITHUB_TOKEN holds no token" in " ".join(err.split())
    assert "two words" not in out + err


def test_the_variable_is_known_to_up_which_warns_of_strays() -> None:
    assert "TRUNKLINE_GITHUB_TOKEN" in OUTSIDE
