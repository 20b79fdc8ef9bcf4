"""The agent `command` in its duplex form, with a program that keeps to a script: every promise of a conversation."""

from __future__ import annotations

import json
import shlex
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.conversations import PROMISES, AgentUnderTest, Asked, Say, Shell, Turn, Wait
from tests.conformance.running import Place, running
from trunkline_sandbox.adapters.agents.command import CommandAgent
from trunkline_sandbox.model import Verdict

PROGRAM = Path(__file__).with_name("spoken_program.py")


def spelled(step: object) -> list[object]:
    match step:
        case Say():
            return ["say", step.text]
        case Shell():
            return ["shell", step.command]
        case Wait():
            return ["wait", step.seconds]
        case _:
            raise ValueError(f"a program without a model cannot act out {step}")


@pytest.fixture
def under_test(tmp_path: Path) -> AgentUnderTest:
    script, log = tmp_path / "script.json", tmp_path / "asked"

    @asynccontextmanager
    async def model(turns: tuple[Turn, ...]) -> AsyncIterator[tuple[Asked, dict[str, str | None]]]:
        script.write_text(json.dumps({"turns": [[spelled(step) for step in turn] for turn in turns], "asked": str(log)}))
        yield lambda: log.read_text().splitlines(), {}

    words = shlex.join(["python3", str(PROGRAM), str(script)])
    return AgentUnderTest(CommandAgent(words, duplex=True), tmp_path, model)


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
async def test_a_program_that_is_spoken_to_keeps(promise: Callable[[AgentUnderTest], Any], under_test: AgentUnderTest) -> None:
    await promise(under_test)


async def test_the_program_of_the_how_to_asks_writes_and_waits_for_more(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "write-your-own-agent.md").read_text()
    source = page.partition("## Be spoken to")[2].partition("```python\n")[2].partition("```")[0]
    place = Place(tmp_path, tmp_path)
    agent = CommandAgent(shlex.join(["python3", "-c", source]), duplex=True)
    async with running(agent, place.task("Milk.", supervised=True), place) as program:
        for number, text in enumerate(("Milk.", "Eggs."), 1):
            (ask,) = (await program.asks()).asks
            await program.tell(agent.answer(program.talk, ask, Verdict(True)))
            await program.at_rest(number)
            if text == "Milk.":
                await program.say("m-1", "Eggs.")
        ending = await program.leave()

    assert (ending.ok, ending.summary, program.talk.heard) == (True, "Wrote it down.", ("m-1",))
    assert (tmp_path / "TASK.md").read_text() == "Milk.\nEggs.\n"
