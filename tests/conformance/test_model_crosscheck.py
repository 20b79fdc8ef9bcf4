"""The real agents with a model server that others wrote: what our own scripted one speaks is not only what we think it is."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.claude_here import CLAUDE, NOT_TESTED
from tests.conformance.openai_here import CODEX, NO_CODEX, NO_OPENCODE, OPENCODE
from tests.conformance.running import Place, running
from trunkline.contracts.run import Said
from trunkline.testing.nats import free_port
from trunkline_sandbox.adapters.agents.binaries import in_modules
from trunkline_sandbox.adapters.agents.claude import ClaudeAgent, ClaudeOptions
from trunkline_sandbox.adapters.agents.codex import CodexAgent, CodexOptions
from trunkline_sandbox.adapters.agents.opencode import OpencodeOptions, opencode_agent
from trunkline_sandbox.adapters.model.keys import DoorKeys
from trunkline_sandbox.ports import Agent

AIMOCK = Path(os.environ.get("TRUNKLINE_TEST_AIMOCK") or in_modules("@copilotkit/aimock/dist/cli.js")[0])
NODE = shutil.which("node")
STARTS_S = 60
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        NODE is None or not AIMOCK.is_file(),
        reason="NOT TESTED: the agents with aimock. None was found; `make agents` where npm is, or set TRUNKLINE_TEST_AIMOCK to its cli.js",
    ),
]
EDIT = "sed -i s/hi/hello/ hello.py && cat hello.py"


def fixtures(look: dict[str, Any], edit: dict[str, Any]) -> list[dict[str, Any]]:
    """Look, edit, answer; each by how many answers there were before, and the last by what a tool gave back."""
    return [
        {"match": {"turnIndex": 0}, "response": {"reasoning": "Look first.", "content": "Reading.", "toolCalls": [look]}},
        {"match": {"toolResultContains": "print('hello')"}, "response": {"content": "It says hello now."}},
        {"match": {"hasToolResult": True}, "response": {"toolCalls": [edit]}},
    ]


@asynccontextmanager
async def aimock(folder: Path, port: int, answers: list[dict[str, Any]]) -> AsyncIterator[None]:
    told = folder / "fixtures"
    told.mkdir()
    (told / "session.json").write_text(json.dumps({"fixtures": answers}))
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "AIMOCK_STRICT_TURN_INDEX": "1"}
    words = [str(AIMOCK), "-p", str(port), "-f", str(told)]
    server = await asyncio.create_subprocess_exec(str(NODE), *words, env=env, stdout=-3, stderr=-3)
    try:
        await _answers(port)
        yield
    finally:
        server.kill()
        await server.wait()


async def _answers(port: int) -> None:
    async with asyncio.timeout(STARTS_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


async def read_edited_answered(folder: Path, agent: Agent, env: dict[str, str | None]) -> list[str | None]:
    """One session; the tools that it used."""
    place = Place(folder / "workspace", folder / "home", env)
    (folder / "home").mkdir()
    place.workspace.mkdir()
    (place.workspace / "hello.py").write_text("print('hi')\n")
    async with running(agent, place.task("Make it say hello."), place) as program:
        await program.at_rest(1)
        ending = await program.leave()

    assert (ending.ok, ending.summary) == (True, "It says hello now."), ending
    assert (place.workspace / "hello.py").read_text() == "print('hello')\n"
    return [said.tool for said in program.said if said.kind is Said.TOOL_CALL]


@pytest.mark.skipif(CLAUDE is None, reason=NOT_TESTED)
async def test_claude_code_reads_edits_and_answers(tmp_path: Path) -> None:
    look = {"name": "Bash", "arguments": {"command": "cat hello.py", "description": "look"}}
    edit = {"name": "Bash", "arguments": {"command": EDIT, "description": "edit"}}
    port = free_port()
    agent = ClaudeAgent(DoorKeys(tmp_path / "doors", b"secret"), ClaudeOptions(CLAUDE, workspace=str(tmp_path / "workspace")))
    env: dict[str, str | None] = {"ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}", "ANTHROPIC_UNIX_SOCKET": None}
    async with aimock(tmp_path, port, fixtures(look, edit)):
        assert await read_edited_answered(tmp_path, agent, env) == ["Bash", "Bash"]


@pytest.mark.skipif(CODEX is None, reason=NO_CODEX)
async def test_codex_reads_edits_and_answers(tmp_path: Path) -> None:
    look, edit = ({"name": "exec_command", "arguments": {"cmd": command}} for command in ("cat hello.py", EDIT))
    port = free_port()
    agent = CodexAgent(DoorKeys(tmp_path / "doors", b"secret"), CodexOptions(CODEX, workspace=str(tmp_path / "workspace"), port=port))
    async with aimock(tmp_path, port, fixtures(look, edit)):
        assert await read_edited_answered(tmp_path, agent, {}) == ["exec_command", "exec_command"]


@pytest.mark.skipif(OPENCODE is None, reason=NO_OPENCODE)
@pytest.mark.parametrize("speaks", ["openai", "anthropic"])
async def test_opencode_reads_edits_and_answers(tmp_path: Path, speaks: Any) -> None:
    look, edit = ({"name": "bash", "arguments": {"command": command, "description": "do it"}} for command in ("cat hello.py", EDIT))
    port = free_port()
    options = OpencodeOptions(OPENCODE, speaks=speaks, workspace=str(tmp_path / "workspace"), port=port)
    async with aimock(tmp_path, port, fixtures(look, edit)):
        told = await read_edited_answered(tmp_path, opencode_agent(DoorKeys(tmp_path / "doors", b"secret"), options), {})

    assert told == ["bash", "bash"]
