"""Where an agent can be tried: with the control plane in memory that its users test with, and with the real router and approvals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

from tests.flows.test_routing import Client
from trunkline import Agent
from trunkline.contracts.approval import ApprovalRequested, DecideApproval, Verdict
from trunkline.contracts.calls import Allowance
from trunkline.contracts.lease import TaskLeased
from trunkline.contracts.message import Fact
from trunkline.contracts.run import AgentOutput, Said
from trunkline.contracts.subjects import MESSAGE
from trunkline.contracts.task import EventPublished, TaskCancelled, TaskFailed, TaskRetryScheduled, TaskSubmitted, TaskSucceeded
from trunkline.runtime.clock import now
from trunkline.sdk.agents.failing import AwayError
from trunkline.sdk.agents.nats_wire import NatsWire, Way
from trunkline.sdk.agents.wire import Hear
from trunkline.sdk.portal import Portal
from trunkline.sdk.testkit import Kit, KitTask

WITHIN = 15.0
LEASE_S = 0.6


@dataclass(frozen=True)
class End:
    """How a task ended."""

    status: str
    result: Any = None
    code: str = ""
    error: str = ""
    attempt: int = 1


@dataclass(frozen=True)
class Open:
    """A question that waits for somebody."""

    words: str
    decide: Callable[[bool, str], Any]

    async def yes(self, answer: str = "") -> None:
        await self.decide(True, answer)

    async def no(self, reason: str = "") -> None:
        await self.decide(False, reason)


class Task(Protocol):
    async def over(self) -> End: ...
    async def question(self) -> Open: ...
    async def cancel(self) -> None: ...
    async def said(self) -> list[str]: ...
    async def made(self) -> list[str]: ...
    async def has_part(self, task: str) -> bool: ...
    async def attempts(self) -> int: ...
    async def told(self) -> list[str]: ...


class World(Protocol):
    """`away`: no way to the bus for the agent. `lose`: so many answers of a verb get lost on their way to it."""

    def serving(self, agent: Agent) -> Any: ...
    async def submit(self, payload: dict[str, Any] | None = None, max_retries: int = 0) -> Task: ...
    def away(self) -> Any: ...
    def lose(self, verb: str, number: int = 1) -> None: ...


async def until(look: Callable[[], Any], within: float = WITHIN) -> Any:
    """What an asynchronous look finds, once it finds something: the log is read anew, as its readers do."""
    async with asyncio.timeout(within):
        while True:
            if found := await look():
                return found
            await asyncio.sleep(0.01)


async def _nothing() -> None:
    """The last of a portal that has nothing else to close."""


class MemoryWorld:
    def __init__(self) -> None:
        self._kits: list[Kit] = []
        self._waiting: list[tuple[dict[str, Any], int]] = []

    @asynccontextmanager
    async def serving(self, agent: Agent) -> AsyncIterator[None]:
        kit = Kit(agent, lease_s=LEASE_S)
        if self._kits:
            kit._board = self._kits[0]._board
        async with kit:
            self._kits.append(kit)
            yield

    async def submit(self, payload: dict[str, Any] | None = None, max_retries: int = 0) -> Task:
        return MemoryTask(self._kits[0].submit("bugfix", payload or {}, max_retries=max_retries), self._kits[0])

    @contextmanager
    def away(self) -> Iterator[None]:
        with self._kits[0].away():
            yield

    def lose(self, verb: str, number: int = 1) -> None:
        self._kits[0].lose_answers(number)


@dataclass(frozen=True)
class MemoryTask:
    task: KitTask
    kit: Kit

    async def over(self) -> End:
        done = await self.task.over(WITHIN)
        return End(done.status, done.result, done.code if done.status == "failed" else "", done.error, done.attempt)

    async def question(self) -> Open:
        asked = await self.task.question(WITHIN)

        async def decide(yes: bool, words: str) -> None:
            if yes:
                asked.answer(words) if words else asked.approve()
            else:
                asked.reject(words)

        return Open(asked.words, decide)

    async def cancel(self) -> None:
        self.task.cancel("no longer wanted", by="ann")

    async def said(self) -> list[str]:
        return self.task.texts

    async def made(self) -> list[str]:
        return list(self.task.artifacts)

    async def has_part(self, task: str) -> bool:
        return [part.task_id for part in self.task.parts] == [task]

    async def attempts(self) -> int:
        return self.task.attempt

    async def told(self) -> list[str]:
        return [event.event_type for event in self.kit.published]


class CutWire:
    """A wire that a test may cut."""

    def __init__(self, inner: NatsWire, world: RouterWorld) -> None:
        self._inner = inner
        self._world = world

    async def run(self, hear: Hear) -> None:
        await self._inner.run(hear)

    async def ask(self, verb: str, body: bytes, seconds: float) -> bytes:
        if self._world.cut:
            await asyncio.sleep(0.02)
            raise AwayError("cut")
        said = await self._inner.ask(verb, body, seconds)
        if self._world.losing.get(verb):
            self._world.losing[verb] -= 1
            raise AwayError("lost")
        return said


@dataclass
class RouterWorld:
    """A tenant of its own at a router that is shared."""

    url: str
    client: Client
    tenant: str = field(default_factory=lambda: f"t{uuid4().hex[:8]}")
    cut: bool = False
    losing: dict[str, int] = field(default_factory=dict)

    @asynccontextmanager
    async def serving(self, agent: Agent) -> AsyncIterator[None]:
        """In a thread and a loop of its own, as the router here shares ours: who blocks its own loop blocks nobody else's."""
        way = Way((self.url,), lambda: "", self.tenant, "bot")
        portal = Portal(_nothing)
        working = portal.begin(agent._serve(lambda: CutWire(NatsWire(way), self)))
        try:
            yield
        finally:
            working.cancel()
            await asyncio.to_thread(portal.close)
            if working.done() and not working.cancelled() and (error := working.exception()):
                raise error

    async def submit(self, payload: dict[str, Any] | None = None, max_retries: int = 0) -> Task:
        client = Client(self.client.bus, self.tenant)
        name = uuid4().hex
        await client.submit(name, payload=payload or {}, max_retries=max_retries)
        return RouterTask(client, name)

    @contextmanager
    def away(self) -> Iterator[None]:
        self.cut = True
        try:
            yield
        finally:
            self.cut = False

    def lose(self, verb: str, number: int = 1) -> None:
        self.losing[verb] = number


@dataclass(frozen=True)
class RouterTask:
    client: Client
    name: str

    async def over(self) -> End:
        end = await until(self._ended)
        match end:
            case TaskSucceeded():
                return End("succeeded", end.outcome, attempt=await self.attempts())
            case TaskFailed():
                return End("failed", None, end.code, end.error, await self.attempts())
        return End("cancelled", attempt=await self.attempts())

    async def _ended(self) -> Fact | None:
        ends = (TaskSucceeded, TaskFailed, TaskCancelled)
        return next((fact for fact in await self.client.facts(self.name) if isinstance(fact, ends)), None)

    async def question(self) -> Open:
        asked = await until(self._open)

        async def decide(yes: bool, words: str) -> None:
            verdict, answer = (Verdict.APPROVED if yes else Verdict.REJECTED), Allowance(answer=words) if yes and words else None
            wish = DecideApproval(
                tenant=self.client.tenant, at=now(), approval_id=asked.approval_id, task_id=self.name, decision_id=uuid4().hex,
                verdict=verdict, by="ann", role="approver", reason="" if yes else words, allowance=answer,
            )  # fmt: skip
            await self.client.bus.commands.send("approvals", self.name, wish)

        return Open(asked.subject, decide)

    async def _open(self) -> ApprovalRequested | None:
        facts: list[Fact] = []
        async with asyncio.timeout(WITHIN):
            for fact in await self.client.facts(self.name):
                if fact.type == "run.approval_wanted":
                    facts += await self.client.facts(self.name, f"approval-{fact.approval_id}")
        decided = {fact.approval_id for fact in facts if fact.type == "approval.decided"}
        return next((fact for fact in facts if isinstance(fact, ApprovalRequested) and fact.approval_id not in decided), None)

    async def cancel(self) -> None:
        await self.client.cancel(self.name)

    async def said(self) -> list[str]:
        return [fact.text for fact in await self._output() if fact.kind is Said.MESSAGE]

    async def made(self) -> list[str]:
        return [str(fact.detail["artifact"]["name"]) for fact in await self._output() if "artifact" in fact.detail]

    async def _output(self) -> list[AgentOutput]:
        return [fact for fact in await self.client.facts(self.name, "output") if isinstance(fact, AgentOutput)]

    async def has_part(self, task: str) -> bool:
        return [fact.assignment.parent for fact in await self.client.facts(task) if isinstance(fact, TaskSubmitted)] == [self.name]

    async def attempts(self) -> int:
        facts = await self.client.facts(self.name)
        retries = [fact.attempt for fact in facts if isinstance(fact, TaskRetryScheduled)]
        return max([*retries, *(fact.attempt for fact in facts if isinstance(fact, TaskLeased))], default=1)

    async def told(self) -> list[str]:
        return [fact.event_type for fact in await self.client.facts(self.name, MESSAGE) if isinstance(fact, EventPublished)]
