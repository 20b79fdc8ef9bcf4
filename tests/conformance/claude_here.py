"""The real Claude Code of this machine, if there is one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.conformance.conversations import AgentUnderTest, Asked, Cut, Refuse, Say, Shell, Step, Turn, Wait
from trunkline.contracts.errors import Invalid
from trunkline.testing import scripted_model as script
from trunkline_sandbox.adapters.agents.claude import ClaudeAgent, ClaudeOptions
from trunkline_sandbox.adapters.agents.claude_binary import find_claude
from trunkline_sandbox.adapters.model.keys import DoorKeys

NOT_TESTED = "NOT TESTED: the real Claude Code. No claude was found; `pip install claude-agent-sdk` or set TRUNKLINE_TEST_CLAUDE to it"


def real_claude() -> Path | None:
    configured = os.environ.get("TRUNKLINE_TEST_CLAUDE")
    try:
        return find_claude(Path(configured) if configured else None)
    except Invalid:
        return None


CLAUDE = real_claude()
ERRORS = {401: "authentication_error", 429: "rate_limit_error", 529: "overloaded_error"}


def spelled(step: Step) -> script.Step:
    match step:
        case Say():
            return script.Text(step.text)
        case Shell():
            return script.ToolUse("Bash", {"command": step.command, "description": "run it"})
        case Wait():
            return script.Pause(step.seconds)
        case Refuse():
            return script.Fail(step.status, ERRORS[step.status], step.always)
        case Cut():
            return script.Cut(3, step.always)


def claude_with_a_script(folder: Path) -> AgentUnderTest:
    options = ClaudeOptions(CLAUDE, max_retries=1, workspace=str(folder / "workspace"))
    agent = ClaudeAgent(DoorKeys(folder / "doors", b"secret"), options)

    @asynccontextmanager
    async def model(turns: tuple[Turn, ...]) -> AsyncIterator[tuple[Asked, dict[str, str | None]]]:
        async with script.scripted_model([tuple(spelled(step) for step in turn) for turn in turns]) as served:
            # Straight to the model: the door between them has tests of its own.
            yield served.conversations, {"ANTHROPIC_BASE_URL": served.url, "ANTHROPIC_UNIX_SOCKET": None}

    return AgentUnderTest(agent, folder, model)
