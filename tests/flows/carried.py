"""The carrier of runs inside the test, on a real nats-server: around it a world in memory whose programs are coroutines of the test's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from bench.standins import MemoryForge, MemoryGit, MemoryProvider, world
from trunkline.bus import Bus, BusSettings, WorkItem, connect
from trunkline.contracts import subjects
from trunkline.contracts.approval import ApprovalDecided, DecidedBy, Verdict
from trunkline.contracts.calls import Allowance, Ruling, ToolRule
from trunkline.contracts.errors import Exhausted
from trunkline.contracts.ids import SandboxId, TaskId, TenantId
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Record
from trunkline.contracts.run import ApprovalWanted
from trunkline.contracts.task import Assignment, TaskAssigned, TaskSubmitted
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline_sandbox.adapters.agents.command import CommandAgent
from trunkline_sandbox.handlers.world import Door, World
from trunkline_sandbox.model import Entry, Skill
from trunkline_sandbox.model.outgoing import OutgoingPolicy
from trunkline_sandbox.model.rules import Rules
from trunkline_sandbox.ports import Change, Exit, Launch, Line, Sandbox, SandboxSpec, Till
from trunkline_sandbox.wiring import serving

F = TypeVar("F", bound=Fact)
TENANT = TenantId("acme")
ASK_ALL = Rules((ToolRule(tool="*", then=Ruling.ASK),))


@dataclass
class Program:
    """What runs in a sandbox: it says lines, and hears what it is told."""

    launch: Launch
    lines: list[Line | Exit] = field(default_factory=list)
    told: dict[str, Entry] = field(default_factory=dict)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    heard: int = 0

    @property
    def task(self) -> dict[str, Any]:
        task: dict[str, Any] = json.loads(self.launch.stdin)
        return task

    async def say(self, **said: object) -> None:
        async with self.news:
            self.lines.append(Line(len(self.lines) + 1, json.dumps(said).encode()))
            self.news.notify_all()

    async def end(self, exit: Exit) -> None:
        async with self.news:
            if not self.ended:
                self.lines.append(exit)
            self.news.notify_all()

    @property
    def ended(self) -> bool:
        return bool(self.lines) and isinstance(self.lines[-1], Exit)

    async def hear(self) -> dict[str, Any]:
        """The next thing it is told; `{"type": "close"}` at the end."""
        async with self.news:
            await self.news.wait_for(lambda: len(self.told) > self.heard)
            entry = list(self.told.values())[self.heard]
            self.heard += 1
        said: dict[str, Any] = json.loads(entry.data) if entry.data else {"type": "close"}
        return said

    async def ask(self, id: str, **input: object) -> dict[str, Any]:
        await self.say(type="permission_request", id=id, tool="Shell", input=input)
        return await self.hear()

    async def tell(self, entry: Entry) -> None:
        async with self.news:
            self.told.setdefault(entry.id, entry)
            self.news.notify_all()


Script = Callable[["Program", "Box"], Awaitable[None]]


class Box(MemoryProvider):
    """One sandbox after the other, all in this process."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.programs: dict[str, Program] = {}
        self.tills: dict[str, Till] = {}
        self.calls: list[str] = []
        self.sandboxes: dict[str, Sandbox] = {}
        self.running: set[asyncio.Future[None]] = set()

    async def ensure(self, spec: SandboxSpec) -> Sandbox:
        return self.sandboxes.setdefault(spec.id, Sandbox(spec.id, self.name, self.isolation, spec.labels))

    async def list(self) -> list[Sandbox]:
        return list(self.sandboxes.values())

    async def remove(self, id: SandboxId) -> None:
        self.sandboxes.pop(id, None)

    async def start(self, id: SandboxId, launch: Launch) -> None:
        if launch.key not in self.programs:
            program = self.programs[launch.key] = Program(launch)
            self.running.add(asyncio.ensure_future(self._run(program)))

    async def _run(self, program: Program) -> None:
        with suppress(Exhausted, KeyError):  # it is refused, or told to close where it waits for something else
            await self.script(program, self)
        await program.end(Exit(0))

    async def output(self, id: SandboxId, key: str) -> AsyncIterator[Line | Exit]:
        program, at = self.programs[key], 0
        while True:
            async with program.news:
                await program.news.wait_for(lambda: len(program.lines) > at)  # noqa: B023 - awaited within this turn
                thing = program.lines[at]
            at += 1
            yield thing
            if isinstance(thing, Exit):
                return

    async def tell(self, id: SandboxId, key: str, entry: Entry) -> None:
        await self.programs[key].tell(entry)

    async def told(self, id: SandboxId, key: str) -> frozenset[str]:
        return frozenset(self.programs[key].told)

    async def freeze(self, id: SandboxId) -> None:
        self.calls.append("freeze")

    async def thaw(self, id: SandboxId) -> None:
        self.calls.append("thaw")

    async def stop(self, id: SandboxId, key: str = "") -> None:
        self.calls.append("stop")
        here = {name: program for name, program in self.programs.items() if name.split(".")[0] == id}
        if key and any(name != key and not program.ended for name, program in here.items()):
            return
        for program in here.values():
            await program.end(Exit(None, 9, "killed"))

    @asynccontextmanager
    async def door(self, key: str, till: Till) -> AsyncIterator[None]:
        self.tills[key] = till
        yield


class Changed(MemoryGit):
    """What the commit changes is up to the test."""

    def __init__(self, *paths: str) -> None:
        self.paths = paths

    async def changes(self, bare: Path, base: str, commit: str) -> tuple[Change, ...]:
        return tuple(Change(path, "modified", 1, 1, binary=False) for path in self.paths)


def about(box: Box, folder: Path, skill: Skill | None = None, **changes: Any) -> World:
    """The world around that box; its agent is spoken to, and has a model door whose till the box keeps."""
    agent = CommandAgent("talk", duplex=True)
    agent.skill = skill or agent.skill
    door = Door(box.door, lambda _: None)
    parts = {"provider": box, "forge": MemoryForge(), "agents": {"command": agent}, "doors": {"command": door}, "hold_s": 60.0}
    return replace(world(folder), **{**parts, "rules": ASK_ALL, **changes})


@dataclass
class Carried:
    """One task that is carried."""

    bus: Bus
    task: str

    def subject(self, part: str) -> str:
        return subjects.event(TENANT, TaskId(self.task), part)

    async def facts(self, part: str = "run") -> list[Fact]:
        return [fact for stored in (await self.bus.log.load(self.subject(part))).records for fact in stored.record.facts]

    async def of(self, kind: type[F], part: str = "run") -> list[F]:
        return [fact for fact in await self.facts(part) if isinstance(fact, kind)]

    async def until(self, kind: type[F], count: int = 1, part: str = "run") -> F:
        async with asyncio.timeout(15):
            while len(found := await self.of(kind, part)) < count:  # noqa: ASYNC110 - the log is looked at, nobody tells
                await asyncio.sleep(0.01)
        return found[count - 1]

    async def decide(self, wanted: ApprovalWanted, verdict: Verdict = Verdict.APPROVED, **more: Any) -> None:
        """As the approvals service would."""
        fields = {"decided_by": DecidedBy.HUMAN, "by": "eve", "digest": wanted.digest, **more}
        decided = ApprovalDecided(approval_id=wanted.approval_id, verdict=verdict, **fields)
        record = Record(at=now(), cause="test", facts=(decided,))
        await self.bus.log.append(self.subject(subjects.approval_part(wanted.approval_id)), record, expect=0, id=new_id())

    async def allow(self, wanted: ApprovalWanted, **allowance: Any) -> None:
        await self.decide(wanted, allowance=Allowance(**allowance))


@asynccontextmanager
async def carrying(url: str, world: World, **assignment: Any) -> AsyncIterator[Carried]:
    """A replica with four hands, and one task that it is given."""
    async with connect(BusSettings.model_validate({"nats_url": url}), "sandbox") as bus:
        policy = OutgoingPolicy(paths=(".github/workflows/**",))
        async with serving(bus, world, 4, policy):
            task = new_id()
            one = Carried(bus, task)
            asked = Assignment(**{"repo": f"acme/{task}", "prompt": "Fix it.", **assignment})
            facts = (TaskSubmitted(assignment=asked, submitted_by="ann", deadline_at=now()), TaskAssigned(pool="dev", attempt=1))
            record = Record(at=now(), cause="test", facts=facts)
            await bus.log.append(one.subject("task"), record, expect=0, id=new_id())
            await bus.work.put(WorkItem(tenant=TENANT, task=task, attempt=1, pool="dev", priority="P2"))
            yield one
