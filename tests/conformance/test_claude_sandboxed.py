"""The real Claude Code inside a real sandbox without a network: its model is reached through the door, also through a new one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.conformance.claude_here import CLAUDE, NOT_TESTED
from trunkline.contracts.errors import Unavailable
from trunkline.contracts.ids import SandboxId
from trunkline.contracts.run import AgentOutput
from trunkline.testing.scripted_model import ScriptedModel, Text, ToolUse, Turn, scripted_model
from trunkline.testing.till import OpenTill
from trunkline_sandbox.adapters.agents.claude import ClaudeAgent, ClaudeOptions
from trunkline_sandbox.adapters.model.door import model_door, model_session
from trunkline_sandbox.adapters.model.keys import DoorKeys
from trunkline_sandbox.adapters.model.shapes import Upstream, Upstreams
from trunkline_sandbox.adapters.providers.local.provider import LocalProvider
from trunkline_sandbox.model import AgentTask, Ending, Entry, Talk, Verdict
from trunkline_sandbox.ports import Exit, Limits, Line, SandboxSpec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
BOX = SandboxId("claude-sandboxed")
TASK = AgentTask("Write it.")
REAL_KEY = "sk-real-key-000111"


@dataclass(frozen=True)
class Bench:
    provider: LocalProvider
    agent: ClaudeAgent
    model: ScriptedModel
    open_door: Callable[[str], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class Sitting:
    """One start of Claude Code in the sandbox, followed from its first line each time, as by a service that attaches."""

    here: Bench
    task: AgentTask
    key: str

    async def start(self) -> None:
        await self.here.provider.start(BOX, self.here.agent.launch(self.task, self.key))

    async def tell(self, entries: tuple[Entry, ...]) -> None:
        for entry in entries:
            await self.here.provider.tell(BOX, self.key, entry)

    async def until(self, reached: Callable[[Talk, tuple[AgentOutput, ...]], bool]) -> Talk:
        talk = self.here.agent.opening(self.task, self.key)
        async for line in self.here.provider.output(BOX, self.key):
            assert isinstance(line, Line), f"it ended: {line}, {talk}"
            heard = self.here.agent.hear(line, talk)
            talk = heard.talk
            if reached(talk, heard.said):
                break
        return talk

    async def leave(self) -> Ending:
        talk = self.here.agent.opening(self.task, self.key)
        async for line in self.here.provider.output(BOX, self.key):
            if isinstance(line, Exit):
                return self.here.agent.outcome(talk, line)
            talk = self.here.agent.hear(line, talk).talk
            if talk.asks or not talk.busy:
                await self.tell(self.here.agent.farewell(talk))
        raise AssertionError("there is always an end")


@pytest.fixture
def claude() -> Path:
    if CLAUDE is None:
        pytest.skip(NOT_TESTED)
    return CLAUDE


@pytest.fixture
def provider(tmp_path: Path) -> LocalProvider:
    try:
        return LocalProvider(tmp_path / "boxes")
    except Unavailable as missing:
        pytest.skip(f"NOT TESTED: the real Claude Code in a sandbox. {missing.message}")


@asynccontextmanager
async def bench(folder: Path, claude: Path, provider: LocalProvider, *turns: Turn) -> AsyncIterator[Bench]:
    keys = DoorKeys(folder / "doors", b"secret")
    agent = ClaudeAgent(keys, ClaudeOptions(program=claude))
    async with scripted_model(turns, key=REAL_KEY) as model, model_session() as session, asyncio.timeout(300):
        upstreams = Upstreams(Upstream(REAL_KEY, model.url))
        await provider.ensure(SandboxSpec(BOX, Limits(), {"tenant": "t", "task": "k"}))
        await provider.give(BOX, workspace(folder))
        try:
            yield Bench(provider, agent, model, lambda key: model_door(keys(key), upstreams, session, OpenTill()))
        finally:
            await provider.remove(BOX)


async def test_claude_code_works_on_while_the_service_that_holds_its_door_is_started_again(
    tmp_path: Path, claude: Path, provider: LocalProvider
) -> None:
    first = ToolUse("Write", {"file_path": "/workspace/new.txt", "content": "hello\n"})
    second = ToolUse("Bash", {"command": "cat new.txt && sleep 2", "description": "wait"})
    async with bench(tmp_path, claude, provider, (first,), (second,), (Text("Done: {last_tool_result}"),)) as here:
        sitting = Sitting(here, TASK, "run-1")
        async with here.open_door("run-1"):
            await provider.start(BOX, here.agent.launch(TASK, "run-1"))
            await sitting.until(lambda _, said: any(one.tool == "Bash" for one in said))
        # Nobody holds the door now, as between the death of a service and its next life.
        await asyncio.sleep(2.5)
        async with here.open_door("run-1"):
            await sitting.until(at_rest)
            ending = await sitting.leave()
        await provider.stop(BOX)
        written = (await provider.take(BOX) / "new.txt").read_text()

    assert (ending.ok, ending.summary) == (True, "Done: hello")
    assert written == "hello\n"


async def test_claude_code_leaves_while_people_think_and_its_next_sitting_does_what_they_allowed(
    tmp_path: Path, claude: Path, provider: LocalProvider
) -> None:
    call = ToolUse("Bash", {"command": "echo hello > new.txt", "description": "write"})
    gone_on = (Text("Claude Code itself says something here when it goes on."),)
    async with bench(tmp_path, claude, provider, (call,), gone_on, (call,), (Text("Done."),)) as here:
        first = Sitting(here, replace(TASK, supervised=True), "run-1")
        async with here.open_door("run-1"):
            await first.start()
            talk = await first.until(lambda talk, _: bool(talk.asks))
            await first.leave()
        await provider.stop(BOX)
        again = replace(TASK, prompt="Your call was approved: repeat it.", session=talk.session, supervised=True, sitting=2)
        second = Sitting(here, again, "run-1.2")
        async with here.open_door("run-1.2"):
            await second.start()
            repeated = await second.until(lambda talk, _: bool(talk.asks))
            await second.tell(here.agent.answer(repeated, repeated.asks[0], Verdict(True)))
            await second.until(at_rest)
            ending = await second.leave()
        await provider.stop(BOX)
        written = (await provider.take(BOX) / "new.txt").read_text()

    assert repeated.asks[0].input == talk.asks[0].input
    assert (ending.ok, written) == (True, "hello\n")
    assert "Write it." in here.model.conversations()[-1]


def workspace(folder: Path) -> Path:
    tree = folder / "tree"
    tree.mkdir()
    (tree / "README").write_text("a small repository\n")
    return tree


def at_rest(talk: Talk, said: tuple[AgentOutput, ...]) -> bool:
    return talk.turns > 0 and not talk.busy
