"""The real Codex as a conversation, with a scripted model: every promise of the port, and every fault of a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.conversations import MODEL_FAULTS, PROMISES, AgentUnderTest
from tests.conformance.openai_here import CODEX, NO_CODEX, codex_with_a_script, listening, port
from tests.conformance.running import Place, running
from trunkline.testing.scripted_openai import Text, ToolUse, scripted_openai
from trunkline_sandbox.adapters.agents.codex import CodexAgent, CodexOptions
from trunkline_sandbox.adapters.model.keys import DoorKeys
from trunkline_sandbox.model import Verdict

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400), pytest.mark.skipif(CODEX is None, reason=NO_CODEX)]


@pytest.fixture
def under_test(tmp_path: Path) -> AgentUnderTest:
    return codex_with_a_script(tmp_path)


@pytest.mark.parametrize("promise", [*PROMISES, *MODEL_FAULTS], ids=lambda promise: promise.__name__)
async def test_codex_keeps(promise: Callable[[AgentUnderTest], Any], under_test: AgentUnderTest) -> None:
    await promise(under_test)


@pytest.mark.parametrize("terminal", [True, False])
async def test_a_shell_that_was_allowed_cannot_be_typed_into_without_asking(tmp_path: Path, terminal: bool) -> None:
    """Codex does not ask about what it writes to a command that runs."""
    place = Place(tmp_path / "workspace", tmp_path / "home")
    place.workspace.mkdir()
    place.home.mkdir()
    listener = listening()
    options = CodexOptions(CODEX, workspace=str(place.workspace), port=port(listener))
    start = ToolUse("exec_command", {"cmd": "echo $$; sleep 1; sh", "tty": terminal, "yield_time_ms": 300})
    typed = ToolUse("write_stdin", {"session_id": "{session}", "chars": "echo typed > typed.txt\n", "yield_time_ms": 1500})
    async with scripted_openai([(start,), (typed,), (Text("Done."),)], listener=listener):
        agent = CodexAgent(DoorKeys(tmp_path / "doors", b"secret"), options)
        async with running(agent, place.task("Go.", supervised=True), place) as program:
            await program.until(lambda talk: bool(talk.asks) or talk.turns > 0)
            for ask in program.talk.asks:
                await program.tell(agent.answer(program.talk, ask, Verdict(True)))
            await program.at_rest(1)
            await program.leave()

    assert not (place.workspace / "typed.txt").exists()
