"""Rules and a budget of one task from the command line: what is sent, what is refused unsent, and what is shown of money."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.cli.desk import HEX, TASK, Desk, frame
from trunkline_cli.shapes import Spent

Trunkline = Callable[..., tuple[int, str, str]]
WORDS = ("--ask", "Bash: git push*", "--ask", "Write: *", "--deny", "Bash:curl *", "--budget-usd", "2.5")
RULES = [
    {"tool": "Bash", "argument": "git push*", "then": "ask"},
    {"tool": "Write", "argument": "*", "then": "ask"},
    {"tool": "Bash", "argument": "curl *", "then": "deny"},
]
MADE = {"success": True, "task_id": TASK, "message": "made", "origin": {}}
COMMANDS = {
    "tasks create": ("POST /tasks", ("tasks", "create", "--type", "bugfix", "--payload", "{}")),
    "continue": (f"POST /tasks/{TASK}/continue", ("continue", TASK, "more")),
    "fork": (f"POST /tasks/{TASK}/fork", ("fork", TASK, "more")),
}


@pytest.mark.parametrize(("path", "words"), COMMANDS.values(), ids=COMMANDS)
def test_what_a_task_is_held_by_is_sent_with_it(path: str, words: tuple[str, ...], desk: Desk, trunkline: Trunkline) -> None:
    desk.says(path, MADE)
    assert trunkline(*words, *WORDS)[0] == trunkline(*words)[0] == 0
    held, free = (asked.body for asked in desk.asked)
    assert {name: held[name] for name in held.keys() - free.keys()} == {"budget_usd": 2.5, "tool_rules": RULES}


def test_a_job_on_a_repository_spells_it_as_its_surface_does(desk: Desk, trunkline: Trunkline) -> None:
    desk.says("POST /api/pr-agent/execute", {"jobId": HEX, "streamUrl": "x"})
    assert trunkline("run", "acme/calc", "fix it", *WORDS)[0] == 0
    job = {"repo": "acme/calc", "task": "fix it", "branch": "main"}
    assert desk.asked[0].body == {**job, "budgetUsd": 2.5, "toolRules": RULES}
    assert trunkline("run", "acme/calc", "fix it")[0] == 0
    assert desk.asked[1].body == job


@pytest.mark.parametrize(
    "words",
    [
        ["--ask", "Bash"],
        ["--deny", "Bash:"],
        ["--deny", ": rm *"],
        ["--ask", ""],
        ["--allow", "Bash: *"],
        *(["--budget-usd", amount] for amount in ("0", "-1", "nan", "inf", "1e999", "five")),
    ],
    ids=" ".join,
)
def test_what_holds_nothing_is_not_even_sent(
    words: list[str], desk: Desk, trunkline: Trunkline, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code, _, said = trunkline("run", "acme/calc", "fix it", *words)
    except SystemExit as ended:  # argparse says what it cannot read
        code, said = int(str(ended.code)), capsys.readouterr().err
    assert (code, desk.asked) == (2, [])
    assert words[0] in said


def test_the_money_of_one_task_is_shown_with_what_it_may_cost(desk: Desk, trunkline: Trunkline) -> None:
    spent = {"usd": 1.23456, "limit_usd": 5.0, "input_tokens": 12345, "output_tokens": 67}
    desk.says(f"GET /tasks/{TASK}", {"success": True, "task_id": TASK, "task": {"task_id": TASK, "spent": spent}})
    assert trunkline("usage", TASK)[:2] == (0, "US$ 1.2346 of 5.0000 for models (12,345 tokens in, 67 out)\n")
    assert json.loads(trunkline("usage", TASK, "--json")[1])["task"]["spent"] == spent
    assert trunkline("usage", TASK, "--since", "2026-01-01")[0] == 2
    assert trunkline("usage", "nope")[0] == 2


def answered(n: int, **payload: Any) -> str:
    return frame(n, "model.answered", payload)


def test_a_task_that_was_watched_ends_with_what_it_cost(desk: Desk, trunkline: Trunkline) -> None:
    one = {"usd": 0.25, "limit_usd": 1.0, "input_tokens": 1000, "output_tokens": 10}
    frames = [answered(0, **one), answered(1, **{**one, "limit_usd": 6.0}), answered(2, usd="much"), frame(3, "task.completed")]
    desk.says(f"GET /tasks/{TASK}/events", frames)
    code, out, _ = trunkline("watch", TASK)
    assert (code, out.splitlines()[-1].strip()) == (0, "US$ 0.5000 of 6.0000 for models (2,000 tokens in, 20 out)")


def test_what_was_spent_is_not_counted_twice_when_all_is_told_again(desk: Desk, trunkline: Trunkline) -> None:
    frames = [answered(0, usd=0.25), frame(1, "gap", {"message": "from the beginning"}), answered(0, usd=0.25), frame(2, "task.completed")]
    desk.says(f"GET /tasks/{TASK}/events", frames)
    assert "US$ 0.2500 for models" in trunkline("watch", TASK)[1]


def test_what_somebody_publishes_hides_no_bill(desk: Desk, trunkline: Trunkline) -> None:
    desk.says(f"GET /tasks/{TASK}/events", [answered(0, usd=0.25), frame(1, "gap", published_by="eve"), frame(2, "task.completed")])
    assert "US$ 0.2500 for models" in trunkline("watch", TASK)[1]


def test_what_somebody_publishes_is_no_bill(desk: Desk, trunkline: Trunkline) -> None:
    forged = frame(0, "model.answered", {"usd": 99.0}, published_by="eve")
    desk.says(f"GET /tasks/{TASK}/events", [forged, frame(1, "task.completed")])
    assert "for models" not in trunkline("watch", TASK)[1]


def test_without_a_limit_none_is_told() -> None:
    assert Spent(usd=0.5).told == "US$ 0.5000 for models (0 tokens in, 0 out)"


def test_a_cost_that_is_not_known_is_not_told() -> None:
    assert Spent(usd=None, input_tokens=9, output_tokens=3, limit_usd=2).told == "US$ ? of 2.0000 for models (9 tokens in, 3 out)"
    assert Spent().plus({"usd": 9.0, "priced": False}).plus({"usd": 1.0}).told == "US$ ? for models (0 tokens in, 0 out)"
    assert "Not known" in Spent().told
