"""What the rows about streams share: a gateway alone in its process, a job written straight to the log, and a crowd that reads."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from bench import processes
from bench.processes import System
from trunkline.bus import Bus, BusSettings, connect
from trunkline.contracts import subjects
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Record
from trunkline.contracts.run import AgentOutput, Said
from trunkline.contracts.task import Assignment, TaskCancelled, TaskSubmitted, Visibility
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline.testing.nats import free_port

PUBLIC: Final = TenantId("public")
SAYS: Final = "this is what an agent says about its work, about as long as such a line is"


@contextmanager
def gateway() -> Iterator[System]:
    """Everything but the gateway shares one process, and has nothing to do."""
    with processes.trunkline("gateway", [("gateway",), ("router", "approvals", "sandbox", "relay")]) as system:
        yield system


@contextmanager
def bare(url: str) -> Iterator[int]:
    """The floor beside the same nats-server; its port."""
    port = free_port()
    with processes.python("bench.bare_streams", url, str(port)) as child:
        processes.await_health(port, [child])
        yield port


@dataclass(frozen=True, slots=True)
class Crowd:
    """Readers in a process of their own."""

    child: subprocess.Popen[str]

    def ask(self, kind: str, **wish: object) -> Any:
        assert self.child.stdin and self.child.stdout
        self.child.stdin.write(json.dumps({"kind": kind, **wish}) + "\n")
        self.child.stdin.flush()
        answer = self.child.stdout.readline()
        if not answer:
            raise RuntimeError("the readers broke; run again with BENCH_DEBUG=1 to see why")
        return json.loads(answer)


@contextmanager
def crowd() -> Iterator[Crowd]:
    with processes.python("bench.crowd", talking=True) as child:
        yield Crowd(child)


@asynccontextmanager
async def log_of(system: System) -> AsyncIterator[Bus]:
    async with connect(BusSettings(nats_url=system.server.url), "bench") as bus:
        yield bus


@dataclass
class Written:
    """A job that nobody works on: what happens to it is what is written here."""

    bus: Bus
    task: TaskId
    last: int = 0
    lines: int = 0

    @property
    def path(self) -> str:
        return f"/api/pr-agent/{UUID(self.task)}/stream"

    @property
    def subject(self) -> str:
        return subjects.event(PUBLIC, self.task, "output")

    async def say(self, text: str) -> None:
        """One event; returns when it is on disk."""
        self.last = await self.bus.log.append(self.subject, _record([self._line(text)]), expect=self.last, id=new_id())

    async def tell(self, events: int, together: int) -> None:
        """So many events, `together` in each record; written without a pause, and on disk when this returns."""
        for _ in range(events // together):
            record = _record([self._line(SAYS) for _ in range(together)])
            await self.bus.client.publish(self.subject, record.body)
        await self.bus.client.flush(timeout=60)

    async def end(self) -> None:
        await self.bus.log.say(self.of_task, _record([TaskCancelled(by="bench", reason="it is over")]), id=new_id())

    def _line(self, text: str) -> AgentOutput:
        self.lines += 1
        return AgentOutput(attempt=1, line=self.lines, kind=Said.MESSAGE, text=text)

    @property
    def of_task(self) -> str:
        return subjects.event(PUBLIC, self.task, subjects.TASK)


async def job(bus: Bus) -> Written:
    """A new one that strangers may read."""
    made = Written(bus, TaskId(new_id()))
    asked = Assignment(repo="acme/shop", prompt="Mend the cart", surface="pr_agent", visibility=Visibility.OPEN)
    begun = TaskSubmitted(assignment=asked, submitted_by="anonymous", deadline_at=now() + timedelta(hours=1))
    await bus.log.append(made.of_task, _record([begun]), expect=0, id=new_id())
    return made


def _record(facts: Sequence[Fact]) -> Record:
    return Record(at=now(), cause="bench", facts=tuple(facts))


def stamp() -> str:
    """What a reader of the crowd tells by how late it is."""
    return f"T={time.time():.6f}# {SAYS}"
