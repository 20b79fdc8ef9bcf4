"""A world in memory for the sandbox service: everything around a run costs nothing, so that what is left is Trunkline itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from trunkline.contracts.errors import NotFound
from trunkline.contracts.ids import SandboxId
from trunkline.contracts.run import AgentOutput, Said
from trunkline.runtime.clock import now
from trunkline_sandbox.handlers.world import World
from trunkline_sandbox.model import AgentTask, Ask, Ending, Entry, Heard, Skill, Talk, Verdict
from trunkline_sandbox.ports import (
    Ability,
    Access,
    AddedLine,
    Change,
    Commit,
    CommitSpec,
    Exit,
    Launch,
    Limits,
    Line,
    PullRequest,
    PullRequestPage,
    PullRequestSpec,
    Remote,
    Sandbox,
    SandboxSpec,
)

LINES = 20
SHA = "c" * 40


class MemoryProvider:
    """Sandboxes that are only names; what runs in them has said its 20 lines at once, or with a pause before each."""

    def __init__(self, pause: float = 0.0) -> None:
        self._pause = pause

    name = "memory"
    isolation = "none (bench)"
    ability = Ability(egress_policy=True, unix_sockets=True)

    async def ensure(self, spec: SandboxSpec) -> Sandbox:
        return Sandbox(spec.id, self.name, self.isolation, spec.labels)

    async def give(self, id: SandboxId, workspace: Path) -> None: ...

    async def start(self, id: SandboxId, launch: Launch) -> None: ...

    async def output(self, id: SandboxId, key: str) -> AsyncIterator[Line | Exit]:
        for number in range(1, LINES + 1):
            if self._pause:
                await asyncio.sleep(self._pause)
            yield Line(number, b"line %d of what the agent has to say about its work" % number)
        yield Exit(0)

    async def tell(self, id: SandboxId, key: str, entry: Entry) -> None: ...

    async def told(self, id: SandboxId, key: str) -> frozenset[str]:
        return frozenset()

    async def freeze(self, id: SandboxId) -> None: ...

    async def thaw(self, id: SandboxId) -> None: ...

    async def stop(self, id: SandboxId, key: str = "") -> None: ...

    async def take(self, id: SandboxId) -> Path:
        return Path()

    async def remove(self, id: SandboxId) -> None: ...

    async def list(self) -> list[Sandbox]:
        return []


class MemoryGit:
    """Every commit is the same one."""

    async def fetch(self, remote: Remote, branch: str, bare: Path) -> str:
        return SHA

    async def checkout(self, bare: Path, commit: str, tree: Path, base: str = "") -> None: ...

    async def commit(self, bare: Path, base: str, tree: Path, spec: CommitSpec) -> Commit | None:
        return Commit(SHA, files_changed=1, additions=1, deletions=0)

    async def push(self, bare: Path, remote: Remote, commit: str, branch: str, expected: str = "") -> None: ...

    async def changes(self, bare: Path, base: str, commit: str) -> tuple[Change, ...]:
        return (Change("done.txt", "added", 1, 0, binary=False),)

    async def added_lines(self, bare: Path, base: str, commit: str) -> AsyncIterator[AddedLine]:
        yield AddedLine("done.txt", 1, "done")

    async def discard(self, folder: Path) -> None: ...


class MemoryForge:
    """Every pull request is number 1."""

    name = "memory"

    @asynccontextmanager
    async def remote(self, access: Access) -> AsyncIterator[Remote]:
        yield Remote(access.repo)

    async def open_pull_request(self, access: Access, spec: PullRequestSpec) -> PullRequest:
        return PullRequest(1, "http://127.0.0.1/pulls/1")

    async def branch_for(self, access: Access, number: int) -> str:
        return f"branch-of-{number}"

    async def tell_status(self, access: Access, commit: str, state: str, told: str) -> None: ...

    async def show_pull_request(self, repo: str, number: int) -> PullRequestPage:
        raise NotFound("the bench shows no pages")


class TalkingAgent:
    """Every line is a message."""

    name = "command"
    skill = Skill()

    def launch(self, task: AgentTask, key: str) -> Launch:
        return Launch(key, ("true",), {})

    def opening(self, task: AgentTask, key: str) -> Talk:
        return Talk(busy=True)

    def hear(self, line: Line, talk: Talk) -> Heard:
        text = line.data.decode()
        return Heard(talk, (AgentOutput(attempt=0, line=line.number, kind=Said.MESSAGE, display=text, text=text),))

    def say(self, talk: Talk, message: str, text: str) -> tuple[Entry, ...]:
        return ()

    def answer(self, talk: Talk, ask: Ask, verdict: Verdict) -> tuple[Entry, ...]:
        return ()

    def interrupt(self, talk: Talk, wish: str) -> tuple[Entry, ...]:
        return ()

    def farewell(self, talk: Talk) -> tuple[Entry, ...]:
        return ()

    def outcome(self, talk: Talk, exit: Exit) -> Ending:
        return Ending(ok=True, summary="done")

    def session_files(self, talk: Talk) -> tuple[str, ...]:
        return ()


def world(folder: Path, pause: float = 0.0) -> World:
    return World(
        provider=MemoryProvider(pause),
        git=MemoryGit(),
        forge=MemoryForge(),
        agents={"command": TalkingAgent()},
        doors={},
        default_agent="command",
        folder=folder,
        limits=Limits(),
        egress=(),
        now=now,
    )
