"""Records conversations of this machine's Claude Code: `python -m tests.recordings.claude.record`, from the repository's root."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.conformance.claude_here import claude_with_a_script
from tests.conformance.conversations import ASKED, HELLO, Say, Shell, Stage, Turn, stage
from tests.conformance.running import Program
from trunkline.contracts.run import Said
from trunkline_sandbox.model import Verdict

SLOW = Shell("python3 -c 'import time; time.sleep(1.5)'")
END: Turn = (Say("Done."),)


async def asked(here: Stage) -> list[Program]:
    async with here.runs("Go.", **ASKED) as program:
        for verdict in (Verdict(True), Verdict(False, "not on a Friday"), Verdict(True, input={"command": "echo other > other.txt"})):
            (ask,) = (await program.asks()).asks
            await program.tell(program.agent.answer(program.talk, ask, verdict))
            await program.until(lambda talk, done=ask: done not in talk.asks)  # type: ignore[misc]
        await program.at_rest(1)
        await program.leave()
    return [program]


async def steered(here: Stage) -> list[Program]:
    async with here.runs("Go.") as program:
        await program.until(lambda _: any(said.kind is Said.TOOL_CALL for said in program.said))
        await program.say("m-1", "Mind the gap.")
        await program.at_rest(1)
        await program.say("m-2", "And the rest.")
        await program.at_rest(2)
        await program.leave()
    return [program]


async def interrupted(here: Stage) -> list[Program]:
    async with here.runs("Go.") as program:
        await program.until(lambda _: any(said.kind is Said.TOOL_CALL for said in program.said))
        await program.tell(program.agent.interrupt(program.talk, "w-1"))
        await program.at_rest(1)
        await program.leave()
    return [program]


async def left(here: Stage) -> list[Program]:
    async with here.runs("Go.", **ASKED) as program:
        await program.asks()
        await program.leave()
    async with here.runs("Go on.", "run-1.2", session=program.talk.session) as later:
        await later.at_rest(1)
        await later.leave()
    return [program, later]


async def lost(here: Stage) -> list[Program]:
    async with here.runs("Go on.", session="6a1d0e0e-6ad8-4a5c-9e1c-7b1a5a5f0c11") as program:
        await program.judged()
    return [program]


SCENES: list[tuple[Callable[[Stage], Awaitable[list[Program]]], tuple[Turn, ...]]] = [
    (asked, ((HELLO,), (Shell("echo two > two.txt"),), (Shell("echo three > other.txt"),), END)),
    (steered, ((SLOW,), END, END)),
    (interrupted, ((SLOW,), END)),
    (left, ((HELLO,), END, END)),
    (lost, (END,)),
]


versions: list[str] = []


async def record(scene: Callable[[Stage], Awaitable[list[Program]]], turns: tuple[Turn, ...]) -> None:
    with tempfile.TemporaryDirectory(prefix="here") as folder:
        async with stage(claude_with_a_script(Path(folder)), *turns) as here:
            programs = await scene(here)
    for number, program in enumerate(programs, 1):
        written = "\n".join(line.data.decode() for line in program.lines if not line.stderr)
        inside = (
            written.replace(f"{folder}/workspace", "/workspace")
            .replace(f"{folder}/home", "/home/agent")
            .replace(folder.replace("/", "-"), "")
        )
        lines = [shortened(line) for line in inside.splitlines()]
        versions.extend(json.loads(line)["claude_code_version"] for line in lines if "claude_code_version" in line)
        name = f"{scene.__name__}{number if number > 1 else ''}.jsonl"
        (Path(__file__).parent / versions[-1] / name).write_text("\n".join(lines) + "\n")


def shortened(line: str) -> str:
    """Without the long lists of what this machine's installation has."""
    body = json.loads(line)
    if body.get("type") == "control_response" and body["response"]["request_id"] == "initialize":
        told = body["response"]["response"]
        body["response"]["response"] = {key: told[key] for key in ("hooks_applied", "hook_on_failure_supported")}
        return json.dumps(body, separators=(",", ":"))
    if body.get("subtype") != "init":
        return line
    kept = "type subtype cwd session_id model permissionMode apiKeySource claude_code_version uuid".split()
    return json.dumps({key: body[key] for key in kept if key in body}, separators=(",", ":"))


async def main() -> None:
    for scene, turns in SCENES:
        await record(scene, turns)


if __name__ == "__main__":
    asyncio.run(main())
