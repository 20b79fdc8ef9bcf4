"""Records conversations of this machine's Codex and opencode: `python -m tests.recordings.record_codex_opencode codex`, from the root."""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.conformance import openai_here
from tests.conformance.conversations import ASKED, AgentUnderTest, Stage, stage
from tests.conformance.running import Program
from trunkline.contracts.run import Said
from trunkline.testing.scripted_openai import Cut, Fail, FreeTool, Text, Thinking, ToolUse, Turn
from trunkline_sandbox.model import Verdict

Scene = Callable[[Stage], Awaitable[dict[str, Program]]]
EDIT = "*** Begin Patch\n*** Update File: hello.py\n@@\n-print('hi')\n+print('hello')\n*** End Patch\n"
TWO = "*** Begin Patch\n*** Add File: a.txt\n+x\n*** Add File: src/b.txt\n+x\n*** End Patch\n"


@dataclass(frozen=True)
class Tongue:
    """What the model calls the agent's tools."""

    make: Callable[[Path, list[Turn]], AgentUnderTest]
    shell: Callable[[str], ToolUse]
    patch: Callable[[str], ToolUse | FreeTool]


TONGUES = {
    "codex": Tongue(
        openai_here.codex_with_a_script, lambda words: ToolUse("exec_command", {"cmd": words}), lambda text: FreeTool("apply_patch", text)
    ),
    "opencode": Tongue(
        openai_here.opencode_with_a_script,
        lambda words: ToolUse("bash", {"command": words, "description": "run it"}),
        lambda text: ToolUse("apply_patch", {"patchText": text}),
    ),
}


async def plain(here: Stage) -> dict[str, Program]:
    async with here.runs("Make it say hello.") as program:
        await program.at_rest(1)
        await program.leave(30)
    return {"": program}


async def asked(here: Stage) -> dict[str, Program]:
    """Allowed, denied, allowed."""
    async with here.runs("Go.", **ASKED) as program:
        for allowed in (True, False, True):
            talk = await program.until(lambda talk: any(f"answer-{ask.id}" not in program.told for ask in talk.asks))
            await program.tell(program.agent.answer(talk, talk.asks[-1], Verdict(allowed)))
        await program.at_rest(1)
        await program.leave(30)
    return {"": program}


async def steered(here: Stage) -> dict[str, Program]:
    async with here.runs("Begin.") as program:
        await program.until(lambda _: any(said.kind is Said.TOOL_CALL for said in program.said))
        await program.say("m-1", "Mind the gap, please.")
        await program.at_rest(1)
        await program.say("m-2", "And more.")
        await program.at_rest(2)
        await program.leave(30)
    return {"": program}


async def interrupted(here: Stage) -> dict[str, Program]:
    async with here.runs("Begin.") as program:
        await program.until(lambda _: any(said.kind is Said.TOOL_CALL for said in program.said))
        await asyncio.sleep(0.4)
        await program.tell(program.agent.interrupt(program.talk, "w-1"))
        await program.at_rest(1)
        await program.leave(30)
    return {"": program}


async def asked_interrupted(here: Stage) -> dict[str, Program]:
    async with here.runs("Begin.", **ASKED) as program:
        await program.asks()
        await program.tell(program.agent.interrupt(program.talk, "w-1"))
        await program.at_rest(1)
        await program.leave(30)
    return {"": program}


async def again(here: Stage) -> dict[str, Program]:
    programs = {"": (await plain(here))[""]}
    session = programs[""].talk.session
    for name, fork in (("resumed", False), ("forked", True)):
        async with here.runs("What is it?", name, session=session, fork=fork) as programs[name]:
            await programs[name].at_rest(1)
            await programs[name].leave(30)
    del programs[""]
    return programs


async def lost(here: Stage) -> dict[str, Program]:
    async with here.runs("Go on.", session="6a1d0e0e-6ad8-4a5c-9e1c-7b1a5a5f0c11") as program:
        await program.judged(60)
    return {"": program}


def scenes(tongue: Tongue) -> dict[str, tuple[Scene, list[Turn]]]:
    first, slow = tongue.shell("touch f1 && echo one"), tongue.shell("python3 -c 'import time; time.sleep(3)'")
    look = tongue.shell("""cat hello.py | grep '$x"y"' ; cat hello.py""")
    edit: list[Turn] = [(Thinking("Look first."), Text("Reading the file."), look), (tongue.patch(EDIT),)]
    edit += [(tongue.shell("python3 hello.py; exit 3"),), (Text("It says: {last_tool_result}"),)]
    end: Turn = (Text("Done."),)
    return {
        "edit": (plain, edit),
        "asked": (asked, [(first,), (tongue.shell("touch f2"),), (tongue.patch(TWO),), end]),
        "steered": (steered, [(slow,), (Text("One."),), (Text("Two."),)]),
        "interrupted": (interrupted, [(slow,), end]),
        "asked_interrupted": (asked_interrupted, [(first,), end]),
        "again": (again, [(Text("One."),), (Text("Two."),), (Text("Three."),)]),
        "lost": (lost, [end]),
        "refused": (plain, [(Fail(401, "invalid_api_key", True),)]),
        "bad_request": (plain, [(Fail(400, "invalid_request_error", True),)]),
        "quota": (plain, [(Fail(429, "insufficient_quota", True),)]),
        "overloaded": (plain, [(Fail(503, "server_is_overloaded", True),)]),
        "limited_once": (plain, [(Fail(429, "rate_limit_exceeded"), Text("Fine."))]),
        "cut_once": (plain, [(Cut(3), Text("Fine after a cut in the middle."))]),
    }


versions: list[str] = []


async def record(name: str, scene: str) -> None:
    tongue = TONGUES[name]
    play, turns = scenes(tongue)[scene]
    with tempfile.TemporaryDirectory(prefix="here") as folder:
        async with stage(tongue.make(Path(folder), turns)) as here:
            (here.place.workspace / "hello.py").write_text("print('hi')\n")
            programs = await play(here)
    for suffix, program in programs.items():
        lines = [inside(line.data.decode(), folder) for line in program.lines if not line.stderr]
        versions.extend(str(said.detail["version"]) for said in program.said if said.detail.get("version"))
        target = Path(__file__).parent / name / versions[-1] / f"{suffix or scene}.jsonl"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("\n".join(lines) + "\n")


def inside(line: str, folder: str) -> str:
    """Without what only this machine has."""
    for there, here in ((f"{folder}/workspace", "/workspace"), (f"{folder}/home", "/home/agent"), (f"{folder[1:]}/workspace", "workspace")):
        line = line.replace(there, here)
    line = re.sub(r'"installationId":"[^"]*"', '"installationId":"00000000-0000-4000-8000-000000000000"', line)
    line = re.sub(r'"serverName":"[^"]*"', '"serverName":"host"', line)
    return re.sub(r"\([A-Z][a-z]+ [\d.]+; [^)]*\)", "(Linux)", re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8091", line))


async def main(name: str) -> None:
    for scene in scenes(TONGUES[name]):
        await record(name, scene)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
