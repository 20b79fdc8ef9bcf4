"""The real Codex and opencode go on from a task that is over: they remember, on the same pull request or on one of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance.openai_here import CODEX, NO_CODEX, NO_OPENCODE, OPENCODE
from tests.flows.talkers import environment, given, person
from tests.flows.test_continue_and_fork import event_of, shown, went_on
from trunkline.testing.scripted_openai import ScriptedOpenAI, Text, ToolUse, Turn, scripted_openai
from trunkline.testing.stack import Stack, stack

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.timeout(400)]

KEY = "sk-real-key-000333"
DONE: Turn = (Text("It is done."),)
SLOW = "python3 -c 'import time; time.sleep(3)'; echo two > second.txt"


@dataclass(frozen=True)
class Spoken:
    """An agent by name, where its program is, and how its shell is called."""

    name: str
    program: Path | None
    shell: Callable[[str], ToolUse]


def codex_shell(command: str) -> ToolUse:
    return ToolUse("exec_command", {"cmd": command})


def opencode_shell(command: str) -> ToolUse:
    return ToolUse("bash", {"command": command, "description": "run it"})


AGENTS = [
    pytest.param(Spoken("codex", CODEX, codex_shell), id="codex", marks=pytest.mark.skipif(CODEX is None, reason=NO_CODEX)),
    pytest.param(
        Spoken("opencode", OPENCODE, opencode_shell), id="opencode", marks=pytest.mark.skipif(OPENCODE is None, reason=NO_OPENCODE)
    ),
]


@contextmanager
def model(turns: tuple[Turn, ...]) -> Iterator[ScriptedOpenAI]:
    """A model that says what was written for it, in a thread of its own."""
    found, over = list[ScriptedOpenAI](), asyncio.Event()
    ready, loop = threading.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        async with scripted_openai(turns, key=KEY) as scripted:
            found.append(scripted)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait(10)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()


@contextmanager
def at_work(agent: Spoken, *turns: Turn) -> Iterator[tuple[Stack, ScriptedOpenAI]]:
    with model(turns) as scripted:
        named = {"TRUNKLINE_AGENT": agent.name, f"TRUNKLINE_{agent.name.upper()}_PATH": str(agent.program), "TRUNKLINE_TOOL_RULES": "[]"}
        with stack(environment(**named, OPENAI_API_KEY=KEY, OPENAI_BASE_URL=scripted.url), "--log-level", "info") as running:
            yield running, scripted


@pytest.mark.parametrize("agent", AGENTS)
def test_it_remembers_what_it_did_and_goes_on(agent: Spoken) -> None:
    first_edit, on_top = (agent.shell("echo one > first.txt"),), (agent.shell("cp first.txt second.txt"),)
    with at_work(agent, first_edit, DONE, on_top, DONE, on_top, DONE) as (running, scripted):
        ada = person(running, "ada", "agent")
        job = given(running, "Write it, heron.")
        first = job.succeeded()

        fork = went_on(ada, job, "fork", text="Copy it, elsewhere.")
        forked = fork.succeeded()
        assert [shown(job, forked["branch"], f"{name}.txt") for name in ("first", "second")] == ["one", "one"]
        assert (forked["pull_request"], fork.answer["origin"]["conversation"]) == (2, True)
        assert shown(job, first["fixBranch"], "second.txt") is None
        assert "Write it, heron." in scripted.conversations()[-1]

        continued = went_on(ada, job, "continue", text="Copy it.").succeeded()
        assert (continued["branch"], continued["pull_request"]) == (first["fixBranch"], 1)
        assert shown(job, first["fixBranch"], "second.txt") == "one"
        told = scripted.conversations()[-1]
        assert "Write it, heron." in told and "elsewhere" not in told, "a fork is none of its origin's business"


@pytest.mark.parametrize("agent", AGENTS)
def test_a_fork_in_the_middle_of_a_turn_knows_and_has_what_was_then(agent: Spoken) -> None:
    edit, slow, third = (agent.shell("echo one > first.txt"),), (agent.shell(SLOW),), (agent.shell("cp first.txt third.txt"),)
    with at_work(agent, edit, slow, third, third, DONE) as (running, scripted):
        ada = person(running, "ada", "agent")
        job = given(running, "Write it, heron.")
        job.succeeded()

        event = event_of(running, ada, job, lambda one: bool(one["event_type"] == "run.snapshot_kept"))
        fork = went_on(ada, job, "fork", text="Another way.", **{"from": event})
        result = fork.succeeded()

        assert [shown(job, result["branch"], f"{name}.txt") for name in ("first", "second", "third")] == ["one", None, "one"]
        assert "Write it, heron." in scripted.conversations()[-1]
