"""The real Codex and opencode of this machine, if they are there, with a model behind them that keeps to a script."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from tests.conformance.conversations import AgentUnderTest, Asked, Cut, Refuse, Say, Shell, Step, Turn, Wait
from trunkline.contracts.errors import Invalid
from trunkline.testing import scripted_openai as script
from trunkline_sandbox.adapters.agents.codex import CodexAgent, CodexOptions
from trunkline_sandbox.adapters.agents.codex_binary import find_codex
from trunkline_sandbox.adapters.agents.opencode import OpencodeOptions, find_opencode, opencode_agent
from trunkline_sandbox.adapters.model.keys import DoorKeys

Script = list[script.Turn]
Serve = Callable[[tuple[Turn, ...]], AbstractAsyncContextManager[tuple[Asked, dict[str, str | None]]]]
ERRORS = {401: "invalid_api_key", 429: "rate_limit_exceeded", 529: "overloaded_error"}


def real(find: Callable[[Path | None], Path], variable: str) -> Path | None:
    configured = os.environ.get(variable)
    try:
        return find(Path(configured) if configured else None)
    except Invalid:
        return None


CODEX = real(find_codex, "TRUNKLINE_TEST_CODEX")
OPENCODE = real(find_opencode, "TRUNKLINE_TEST_OPENCODE")
NO_CODEX = "NOT TESTED: the real Codex. None was found; run `make agents` or set TRUNKLINE_TEST_CODEX to it"
NO_OPENCODE = "NOT TESTED: the real opencode. None was found; run `make agents` or set TRUNKLINE_TEST_OPENCODE to it"


def codex_with_a_script(folder: Path, told: Script | None = None) -> AgentUnderTest:
    listener = listening()
    keys = DoorKeys(folder / "doors", b"secret")
    options = CodexOptions(CODEX, workspace=str(folder / "workspace"), port=port(listener), request_retries=1, stream_retries=1)
    agent = CodexAgent(keys, options)
    model = served(listener, told, lambda command: script.ToolUse("exec_command", {"cmd": command}))
    return AgentUnderTest(agent, folder, model)


def opencode_with_a_script(folder: Path, told: Script | None = None) -> AgentUnderTest:
    listener = listening()
    options = OpencodeOptions(OPENCODE, workspace=str(folder / "workspace"), port=port(listener))
    agent = opencode_agent(DoorKeys(folder / "doors", b"secret"), options)
    model = served(listener, told, lambda command: script.ToolUse("bash", {"command": command, "description": "run it"}))
    return AgentUnderTest(agent, folder, model)


def served(listener: socket.socket, told: Script | None, shell: Callable[[str], script.ToolUse]) -> Serve:
    """What is `told` in the model's own words, else the turns of the suite."""

    def spelled(step: Step) -> script.Step:
        match step:
            case Say():
                return script.Text(step.text)
            case Shell():
                return shell(step.command)
            case Wait():
                return script.Pause(step.seconds)
            case Refuse():
                return script.Fail(step.status, ERRORS[step.status], step.always)
            case Cut():
                return script.Cut(3, step.always)

    @asynccontextmanager
    async def model(turns: tuple[Turn, ...]) -> AsyncIterator[tuple[Asked, dict[str, str | None]]]:
        said = told if told is not None else [tuple(spelled(step) for step in turn) for turn in turns]
        async with script.scripted_openai(said, listener=listener) as served:
            yield served.conversations, {}

    return model


def listening() -> socket.socket:
    """The agent is told the port of its model when it is made."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    return listener


def port(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])
