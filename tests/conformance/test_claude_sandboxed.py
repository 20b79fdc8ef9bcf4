"""The real Claude Code inside a real sandbox without a network: its model is reached through the door, also through a new one."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from trunkline.contracts.errors import Invalid, Unavailable
from trunkline.contracts.ids import SandboxId
from trunkline.testing.scripted_model import Text, ToolUse, scripted_model
from trunkline_sandbox.adapters.agents.claude import ClaudeAgent, ClaudeOptions
from trunkline_sandbox.adapters.agents.claude_binary import find_claude
from trunkline_sandbox.adapters.door_keys import DoorKeys
from trunkline_sandbox.adapters.door_relay import Upstream
from trunkline_sandbox.adapters.model_door import model_door, model_session
from trunkline_sandbox.adapters.providers.local.provider import LocalProvider
from trunkline_sandbox.ports import AgentTask, Ending, Exit, Limits, Line, SandboxSpec

pytestmark = pytest.mark.slow
BOX = SandboxId("claude-sandboxed")
REAL_KEY = "sk-real-key-000111"


@pytest.fixture
def claude() -> Path:
    configured = os.environ.get("TRUNKLINE_TEST_CLAUDE")
    try:
        return find_claude(Path(configured) if configured else None)
    except Invalid as missing:
        pytest.skip(f"NOT TESTED: the real Claude Code in a sandbox. {missing.message}; or set TRUNKLINE_TEST_CLAUDE to it")


@pytest.fixture
def provider(tmp_path: Path) -> LocalProvider:
    try:
        return LocalProvider(tmp_path / "boxes")
    except Unavailable as missing:
        pytest.skip(f"NOT TESTED: the real Claude Code in a sandbox. {missing.message}")


async def test_claude_code_works_on_while_the_service_that_holds_its_door_is_started_again(
    tmp_path: Path, claude: Path, provider: LocalProvider
) -> None:
    first = ToolUse("Write", {"file_path": "/workspace/new.txt", "content": "hello\n"})
    second = ToolUse("Bash", {"command": "cat new.txt && sleep 2", "description": "wait"})
    keys = DoorKeys(tmp_path / "doors", b"secret")
    agent = ClaudeAgent(keys, ClaudeOptions(program=claude))
    async with scripted_model([(first,), (second,), (Text("Done: {last_tool_result}"),)], key=REAL_KEY) as model:
        upstream = Upstream(REAL_KEY, model.url)
        async with model_session(upstream) as session, asyncio.timeout(90):
            await provider.ensure(SandboxSpec(BOX, Limits(), {"tenant": "t", "task": "k"}))
            await provider.give(BOX, workspace(tmp_path))
            try:
                async with model_door(keys("run-1"), upstream, session):
                    await provider.start(BOX, agent.launch(AgentTask("Write it."), "run-1"))
                    await heard_until(provider, agent, "Bash")
                # Nobody holds the door now, as between the death of a service and its next life.
                await asyncio.sleep(2.5)
                async with model_door(keys("run-1"), upstream, session):
                    ending = await heard_until(provider, agent, None)
                await provider.stop(BOX)
                written = (await provider.take(BOX) / "new.txt").read_text()
            finally:
                await provider.remove(BOX)

    assert (ending.ok, ending.summary) == (True, "Done: hello")
    assert written == "hello\n"


def workspace(folder: Path) -> Path:
    tree = folder / "tree"
    tree.mkdir()
    (tree / "README").write_text("a small repository\n")
    return tree


async def heard_until(provider: LocalProvider, agent: ClaudeAgent, tool: str | None) -> Ending:
    """From the first line on, as a service does that attaches: to the call of `tool`, or to the end."""
    known: Ending | None = None
    async for line in provider.output(BOX, "run-1"):
        if isinstance(line, Exit):
            return agent.outcome(known, line)
        assert isinstance(line, Line)
        heard = agent.hear(line, known)
        known = heard.ending or known
        if tool is not None and any(said.tool == tool for said in heard.said):
            break
    return known or Ending(ok=False)
