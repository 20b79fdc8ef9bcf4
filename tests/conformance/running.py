"""An agent's program run here without a sandbox: told each entry once, its lines folded as a carrier folds them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from trunkline.contracts.run import AgentOutput
from trunkline_sandbox.adapters.providers.local.unsafe import outside
from trunkline_sandbox.model import AgentTask, Ending, Entry, Talk
from trunkline_sandbox.ports import Agent, Exit, Launch, Line

ALLOWED_S = 150.0
"""Seconds, of which a calm machine needs some: opencode takes seven of its processor to begin."""
_LONGEST_LINE = 32 << 20


@dataclass(frozen=True)
class Place:
    """Where a program runs, and what its launch calls by names that only a sandbox has."""

    workspace: Path
    home: Path
    env: Mapping[str, str | None] = field(default_factory=dict)
    """Set on top of the launch's own; None takes a name away."""

    def task(self, prompt: str, **more: object) -> AgentTask:
        return AgentTask(prompt, str(self.workspace), str(self.home), **more)  # type: ignore[arg-type]


@dataclass
class Program:
    """One start of a program. `talk` is what is known of the conversation now."""

    agent: Agent
    process: asyncio.subprocess.Process
    talk: Talk
    opening: Talk
    lines: list[Line] = field(default_factory=list)
    said: list[AgentOutput] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    exit: Exit | None = None

    async def tell(self, entries: Iterable[Entry]) -> None:
        """An id that was told before is not told again; nobody reads what a program that is gone is told."""
        stdin = self.process.stdin
        assert stdin
        for entry in entries:
            if entry.id in self.told or stdin.is_closing():
                continue
            self.told.append(entry.id)
            stdin.write(entry.data)
            if entry.close:
                stdin.close()

    async def until(self, reached: Callable[[Talk], bool], within: float = ALLOWED_S) -> Talk:
        """Raises AssertionError with what was known when it does not come to this."""
        try:
            async with asyncio.timeout(within), self.changed:
                await self.changed.wait_for(lambda: self.exit is not None or reached(self.talk))
        except TimeoutError:
            pass
        assert reached(self.talk), f"it did not come to this: {self.talk}, {self.exit}; its last lines: {self.lines[-3:]}"
        return self.talk

    async def at_rest(self, turns: int) -> Talk:
        return await self.until(lambda talk: talk.turns >= turns and not talk.busy)

    async def asks(self) -> Talk:
        return await self.until(lambda talk: bool(talk.asks))

    async def say(self, message: str, text: str) -> None:
        await self.tell(self.agent.say(self.talk, message, text))

    async def leave(self, within: float = 60.0) -> Ending:
        """Say farewell, wait for the end, and judge it."""
        await self.tell(self.agent.farewell(self.talk))
        return await self.judged(within)

    async def judged(self, within: float = ALLOWED_S) -> Ending:
        async with asyncio.timeout(within), self.changed:
            await self.changed.wait_for(lambda: self.exit is not None)
        assert self.exit
        return self.agent.outcome(self.talk, self.exit)

    async def follow(self) -> None:
        """Read it to its end."""
        assert self.process.stdout and self.process.stderr
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(self.process.stdout, stderr=False))
            group.create_task(self._read(self.process.stderr, stderr=True))
        code = await self.process.wait()
        async with self.changed:
            self.exit = Exit(code) if code >= 0 else Exit(None, -code)
            self.changed.notify_all()

    async def _read(self, stream: asyncio.StreamReader, *, stderr: bool) -> None:
        while data := await stream.readline():
            async with self.changed:
                await self._hear(Line(len(self.lines) + 1, data.rstrip(b"\n"), stderr))
                self.changed.notify_all()

    async def _hear(self, line: Line) -> None:
        heard = self.agent.hear(line, self.talk)
        self.lines.append(line)
        self.said += heard.said
        self.talk = heard.talk
        await self.tell(heard.owed)


@asynccontextmanager
async def running(agent: Agent, task: AgentTask, place: Place, key: str = "run-1") -> AsyncIterator[Program]:
    """Started as its launch says; whatever is left of it at the end of the block is killed."""
    launch = agent.launch(task, key)
    process = await _start(launch, place)
    opening = agent.opening(task, key)
    program = Program(agent, process, opening, opening)
    async with asyncio.TaskGroup() as group:
        following = group.create_task(program.follow())
        try:
            assert process.stdin
            process.stdin.write(launch.stdin)
            if not launch.keep_stdin:
                process.stdin.close()
            yield program
        finally:
            _kill(process)
            async with asyncio.timeout(10):
                await asyncio.shield(following)


async def _start(launch: Launch, place: Place) -> asyncio.subprocess.Process:
    inside = {f"/run/host/{name}/model.sock": str(folder / "model.sock") for name, folder in launch.sockets.items()}
    inside |= {name: str(path) for name, path in launch.tools.items()}
    env: dict[str, str | None] = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
    env |= {key: inside.get(value, value) for key, value in launch.env.items()} | dict(place.env)
    if os.geteuid() == 0:
        env["IS_SANDBOX"] = "1"  # inside a sandbox nobody is root, and this is not needed
    for path, data in launch.home_files.items():
        (place.home / path).parent.mkdir(parents=True, exist_ok=True)
        (place.home / path).write_bytes(data)
    return await asyncio.create_subprocess_exec(
        *[outside(word, inside) for word in launch.argv],
        cwd=place.workspace,
        env={key: value for key, value in env.items() if value is not None},
        stdin=-1,
        stdout=-1,
        stderr=-1,
        limit=_LONGEST_LINE,
        start_new_session=True,
    )


def _kill(process: asyncio.subprocess.Process) -> None:
    """With all that it started: they are in its session."""
    try:
        os.killpg(process.pid, 9)
    except ProcessLookupError:
        pass
