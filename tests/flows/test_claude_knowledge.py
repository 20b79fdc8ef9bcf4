"""The real Claude Code as a knowledge job: checked before it starts, with the model that was chosen, and its answer as the result."""

from __future__ import annotations

import pytest

from tests.conformance.claude_here import CLAUDE, NOT_TESTED
from tests.flows.talkers import SECRET
from tests.flows.test_claude_asks import KEY, model
from tests.flows.test_knowledge import User, texts
from trunkline.testing.scripted_model import Text, ToolUse
from trunkline.testing.stack import ONE_PROCESS, stack

pytestmark = [
    pytest.mark.flow,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(CLAUDE is None, reason=NOT_TESTED),
]

ENVIRONMENT = {
    "TRUNKLINE_AGENT": "claude",
    "TRUNKLINE_CLAUDE_PATH": str(CLAUDE),
    "TRUNKLINE_DEV": "true",
    "ORCHESTRATOR_JWT_SECRET": SECRET,
}
KEYED = {"ANTHROPIC_API_KEY": KEY}
ANSWER = "It is about trees, \u6728."


def test_claude_answers_in_a_users_sandbox() -> None:
    writes = (ToolUse("Bash", {"command": "echo $OMNI_A $USER_ID > seen.txt; env | grep -c sk-real || true"}),)
    with model((writes, (Text(ANSWER),))) as url, stack({**ENVIRONMENT, **KEYED, "ANTHROPIC_BASE_URL": url}, *ONE_PROCESS) as running:
        ann = User(running, "ann").ready()
        said = ann.asks("What is it about?", env={"OMNI_A": "one"}, model="haiku").over()
        seen = (running.folder / "data" / "sandbox" / "boxes" / ann.sandbox / "box" / "workspace" / "seen.txt").read_text()
    assert seen == "one ann\n"
    logs = texts(said)
    assert logs[3].startswith("The program of claude is there: ") and "Claude Code" in logs[3]
    assert logs[4:7] == ["A key for its model is there", "Its model can be reached", "Running claude..."]
    assert [message["type"] for message in said[-2:]] == ["result", "done"]
    assert said[-2]["data"] == ANSWER


@pytest.mark.parametrize(("key", "path", "at"), [("", str(CLAUDE), 4), (KEY, "/nowhere/claude", 3)])
def test_what_is_missing_is_told_before_anything_runs(key: str, path: str, at: int) -> None:
    environment = {**ENVIRONMENT, "ANTHROPIC_API_KEY": key, "ANTHROPIC_BASE_URL": "http://127.0.0.1:9", "TRUNKLINE_CLAUDE_PATH": path}
    with stack(environment, *ONE_PROCESS) as running:
        said = User(running, "ann").ready().asks("What is it about?").over()
    assert [message["type"] for message in said] == [*["log"] * at, "error", "done"]
    assert (said[-2]["code"], said[-1]["exitCode"]) == ("CLAUDE_NOT_AVAILABLE", 1)
