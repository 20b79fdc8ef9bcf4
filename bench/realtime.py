"""The row `realtime`: subscribers of one channel on one gateway process, how late they hear a message, and what each costs."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import psutil

from bench import timelines
from bench.bare import token
from bench.figures import Figure, at, median
from bench.plan import Plan
from bench.processes import System
from bench.timelines import Crowd
from trunkline.auth.principal import HOME
from trunkline.bus import Bus
from trunkline.contracts import subjects
from trunkline.contracts.ids import TaskId
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Record
from trunkline.contracts.run import Phase, PhaseBegan
from trunkline.contracts.task import Assignment, TaskSubmitted
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id

CALM = 0.3
"""Seconds between two messages: each is measured alone."""


@dataclass
class Heard:
    """Milliseconds from before a fact was stored to each subscriber's hearing of it; one list a message."""

    count: int
    lost: int = 0
    memory: float = 0.0
    """KiB resident for each."""
    messages: list[list[float]] = field(default_factory=list)


@dataclass
class Job:
    """One on the omni surface that nobody works on: what happens to it is what is written here."""

    bus: Bus
    task: TaskId = field(default_factory=lambda: TaskId(new_id()))
    last: int = 0

    async def begin(self) -> None:
        asked = Assignment(prompt="read this", type="knowledge", surface="omni")
        begun = TaskSubmitted(assignment=asked, submitted_by="bench", deadline_at=now() + timedelta(hours=1))
        await self.bus.log.append(subjects.event(HOME, self.task, subjects.TASK), _record(begun), expect=0, id=new_id())
        await self.say("begin")

    async def say(self, text: str) -> None:
        subject = subjects.event(HOME, self.task, "run")
        fact = PhaseBegan(phase=Phase.AGENT, message=text)
        self.last = await self.bus.log.append(subject, _record(fact), expect=self.last, id=new_id())


def measure(plan: Plan) -> list[Figure]:
    with timelines.gateway() as system:
        return [figure for count in ((100,) if plan.quick else (100, 5_000)) for figure in _figures(asyncio.run(_of(plan, system, count)))]


async def _of(plan: Plan, system: System, count: int) -> Heard:
    path = f"/v1/realtime/connect?token={_ticket(system.address)}"
    async with timelines.log_of(system) as bus:
        job, heard = Job(bus), Heard(count)
        await job.begin()
        with timelines.crowd() as crowd:
            before = _resident(system)
            plan.say(f"realtime: {count} come in")
            assert crowd.ask("hear", port=system.address, path=path, count=count) == count, "not all came in"
            heard.memory = (_resident(system) - before) / 1024 / count
            await _speak(plan, crowd, job, heard)
    return heard


async def _speak(plan: Plan, crowd: Crowd, job: Job, heard: Heard) -> None:
    for message in range(1 + 5 * plan.rounds):
        plan.say(f"realtime: message {message} to {heard.count}")
        await asyncio.sleep(CALM)
        await job.say(timelines.stamp())
        late = crowd.ask("heard", count=heard.count)
        heard.lost += heard.count - len(late)
        heard.messages.append([seconds * 1000 for seconds in late])
    heard.messages.pop(0)  # it warms what it touches


def _ticket(port: int) -> str:
    wish = json.dumps([{"channel": "tasks", "name": "update", "kind": "run"}])
    shown = {"Authorization": f"Bearer {token()}", "Content-Type": "application/json"}
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/v1/realtime/token", wish.encode(), shown)
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return str(json.loads(answer.read())["jwt"])


def _resident(system: System) -> float:
    """Bytes."""
    return float(psutil.Process(system.children[0].pid).memory_info().rss)


def _record(fact: Fact) -> Record:
    return Record(at=now(), cause="bench", facts=(fact,))


def _figures(heard: Heard) -> Iterator[Figure]:
    def p(share: float) -> float:
        return median([at(message, share) for message in heard.messages])

    head = f"{heard.count:,} subscribers: "
    yield Figure(head + "memory each", heard.memory, "KiB")
    yield Figure(head + "one message, p50", p(0.5), "ms", "<= 20" if heard.count == 100 else "")
    yield Figure(head + "one message, p99", p(0.99), "ms")
    yield Figure(head + "not heard of", float(heard.lost), "of all", "<= 0")
