"""The real Claude Code goes on from a task that is over: it remembers, on the same pull request or on one of its own."""

from __future__ import annotations

import pytest

from tests.conformance.claude_here import CLAUDE, NOT_TESTED
from tests.flows.talkers import given, person
from tests.flows.test_claude_asks import with_claude
from tests.flows.test_continue_and_fork import event_of, shown, went_on
from trunkline.testing.scripted_model import Text, ToolUse, Turn

pytestmark = [
    pytest.mark.flow,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(CLAUDE is None, reason=NOT_TESTED),
]

FIRST: Turn = (ToolUse("Bash", {"command": "echo one > first.txt"}),)
DONE: Turn = (Text("It is done."),)
ON_TOP: Turn = (ToolUse("Bash", {"command": "cp first.txt second.txt"}),)
"""Said only to a conversation in which two turns were had before: the model of the test keeps nothing itself."""

SLOW = "python3 -c 'import time; time.sleep(3)'; echo two > second.txt"
THIRD: Turn = (ToolUse("Bash", {"command": "cp first.txt third.txt"}),)
"""Said whether the call that was broken off counts as a turn, as it does for Claude Code, or a word of its own beside it too."""


def test_claude_remembers_what_it_did_and_goes_on() -> None:
    with with_claude(FIRST, DONE, ON_TOP, DONE, TRUNKLINE_TOOL_RULES="[]") as running:
        ada = person(running, "ada", "agent")
        job = given(running, "Write it.")
        first = job.succeeded()

        fork = went_on(ada, job, "fork", text="Copy it, elsewhere.")
        forked = fork.succeeded()
        assert [shown(job, forked["branch"], f"{name}.txt") for name in ("first", "second")] == ["one", "one"]
        assert (forked["pull_request"], fork.answer["origin"]["conversation"]) == (2, True)
        assert shown(job, first["fixBranch"], "second.txt") is None

        continued = went_on(ada, job, "continue", text="Copy it.").succeeded()
        assert (continued["branch"], continued["pull_request"]) == (first["fixBranch"], 1)
        assert shown(job, first["fixBranch"], "second.txt") == "one"


def test_a_fork_in_the_middle_of_a_turn_knows_and_has_what_was_then() -> None:
    with with_claude(FIRST, (ToolUse("Bash", {"command": SLOW}),), THIRD, THIRD, DONE, TRUNKLINE_TOOL_RULES="[]") as running:
        ada = person(running, "ada", "agent")
        job = given(running, "Write it.")
        job.succeeded()

        event = event_of(running, ada, job, lambda one: bool(one["event_type"] == "run.snapshot_kept"))
        result = went_on(ada, job, "fork", text="Another way.", **{"from": event}).succeeded()

        assert [shown(job, result["branch"], f"{name}.txt") for name in ("first", "second", "third")] == ["one", None, "one"]
