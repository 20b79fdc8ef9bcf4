"""The real Codex and opencode inside a real sandbox without a network: asked, allowed, ended, and gone on with in a second sitting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance.openai_here import CODEX, NO_CODEX, NO_OPENCODE, OPENCODE
from trunkline.contracts.errors import Unavailable
from trunkline.contracts.ids import SandboxId
from trunkline.testing.scripted_openai import FreeTool, ScriptedOpenAI, Text, ToolUse, Turn, scripted_openai
from trunkline.testing.till import OpenTill
from trunkline_sandbox.adapters.agents.codex import CodexAgent, CodexOptions
from trunkline_sandbox.adapters.agents.opencode import OpencodeOptions, opencode_agent
from trunkline_sandbox.adapters.model.door import model_door, model_session
from trunkline_sandbox.adapters.model.keys import DoorKeys
from trunkline_sandbox.adapters.model.shapes import Upstream, Upstreams
from trunkline_sandbox.adapters.providers.local.provider import LocalProvider
from trunkline_sandbox.model import AgentTask, Ask, Ending, Talk, Verdict
from trunkline_sandbox.ports import Agent, Exit, Limits, Line, SandboxSpec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
BOX = SandboxId("openai-sandboxed")
REAL_KEY = "sk-real-key-000222"
PATCH = "*** Begin Patch\n*** Add File: new.txt\n+hello\n*** End Patch\n"


@dataclass(frozen=True)
class Bench:
    provider: LocalProvider
    agent: Agent
    model: ScriptedOpenAI
    keys: DoorKeys

    async def sit(self, task: AgentTask, key: str) -> tuple[Talk, list[Ask], Ending]:
        """A start of its program from the first line to the last: whatever it asks is allowed, and at rest it is sent home."""
        await self.provider.start(BOX, self.agent.launch(task, key))
        talk, asked = self.agent.opening(task, key), list[Ask]()
        async for line in self.provider.output(BOX, key):
            if isinstance(line, Exit):
                return talk, asked, self.agent.outcome(talk, line)
            talk = await self._hear(line, talk, key, asked)
        raise AssertionError("there is always an end")

    async def _hear(self, line: Line, before: Talk, key: str, asked: list[Ask]) -> Talk:
        heard = self.agent.hear(line, before)
        talk = heard.talk
        owed = list(heard.owed)
        for ask in talk.asks:
            if ask not in asked:
                asked.append(ask)
                owed += self.agent.answer(talk, ask, Verdict(True))
        if talk.turns and not talk.busy:
            owed += self.agent.farewell(talk)
        for entry in owed:
            if entry.id not in await self.provider.told(BOX, key):
                await self.provider.tell(BOX, key, entry)
        return talk


@asynccontextmanager
async def bench(folder: Path, make: Callable[[DoorKeys], Agent], turns: list[Turn]) -> AsyncIterator[Bench]:
    try:
        provider = LocalProvider(folder / "boxes")
    except Unavailable as missing:
        pytest.skip(f"NOT TESTED: Codex and opencode in a sandbox. {missing.message}")
    keys = DoorKeys(folder / "doors", b"secret")
    async with scripted_openai(turns, key=REAL_KEY) as model, model_session() as session, asyncio.timeout(300):
        upstreams = Upstreams(openai=Upstream(REAL_KEY, model.url))
        await provider.ensure(SandboxSpec(BOX, Limits(), {"tenant": "t", "task": "k"}))
        await provider.give(BOX, workspace(folder))
        try:
            async with (
                model_door(keys("run-1"), upstreams, session, OpenTill()),
                model_door(keys("run-1.2"), upstreams, session, OpenTill()),
            ):
                yield Bench(provider, make(keys), model, keys)
        finally:
            await provider.remove(BOX)


def workspace(folder: Path) -> Path:
    tree = folder / "tree"
    tree.mkdir()
    (tree / "README").write_text("a small repository\n")
    return tree


async def two_sittings(here: Bench) -> list[Ask]:
    task = AgentTask("The word is heron.", supervised=True, asked_always=("*",))
    first, asked, ending = await here.sit(task, "run-1")
    again = AgentTask("What is the word?", session=first.session, supervised=True, sitting=2)
    second, _, later = await here.sit(again, "run-1.2")
    await here.provider.stop(BOX)
    made = (await here.provider.take(BOX) / "new.txt").read_text()

    assert (ending.ok, ending.summary, made) == (True, "Done.", "hello\n")
    assert (later.ok, later.summary, second.session) == (True, "Heron.", first.session)
    assert "The word is heron." in here.model.conversations()[-1]
    assert all(one.headers["authorization"] == f"Bearer {REAL_KEY}" for one in here.model.asked)
    return asked


@pytest.mark.skipif(CODEX is None, reason=NO_CODEX)
async def test_codex_patches_and_runs_inside_when_it_is_allowed_and_goes_on_in_a_second_sitting(tmp_path: Path) -> None:
    turns: list[Turn] = [
        (FreeTool("apply_patch", PATCH),),
        (ToolUse("exec_command", {"cmd": "cat new.txt"}),),
        (Text("Done."),),
        (Text("Heron."),),
    ]
    async with bench(tmp_path, lambda keys: CodexAgent(keys, CodexOptions(CODEX)), turns) as here:
        asked = await two_sittings(here)

    assert [(ask.tool, ask.argument) for ask in asked] == [("apply_patch", "new.txt"), ("exec_command", "cat new.txt")]


@pytest.mark.skipif(OPENCODE is None, reason=NO_OPENCODE)
async def test_opencode_patches_and_runs_inside_when_it_is_allowed_and_goes_on_in_a_second_sitting(tmp_path: Path) -> None:
    patch = ToolUse("apply_patch", {"patchText": PATCH})
    shell = ToolUse("bash", {"command": "true && cat new.txt", "description": "look"})
    turns: list[Turn] = [(patch,), (shell,), (Text("Done."),), (Text("Heron."),)]
    async with bench(tmp_path, lambda keys: opencode_agent(keys, OpencodeOptions(OPENCODE)), turns) as here:
        asked = await two_sittings(here)

    assert [(ask.tool, ask.argument) for ask in asked] == [("apply_patch", "new.txt"), ("bash", "true && cat new.txt")]
