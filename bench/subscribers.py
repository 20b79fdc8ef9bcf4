"""Who hears a channel: a crowd by WebSocket and as events, what was said to it, and how late it heard."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

from bench import timelines
from bench.figures import at, median
from bench.plan import Plan
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


@dataclass(frozen=True, slots=True)
class Audience:
    """Where it hears, and by which paths."""

    port: int | str
    socket: str
    events: str

    def come_in(self, crowd: Crowd, count: int, of_events: int) -> None:
        """All of them; `of_events` hear events. They stay until the crowd is gone."""
        wishes = (("hear", self.socket, count - of_events), ("open", self.events, count))
        for kind, path, so_far in wishes:
            assert crowd.ask(kind, port=self.port, path=path, count=so_far) == so_far, "not all came in"


@dataclass
class Heard:
    """Milliseconds from before a fact was stored to each subscriber's hearing of it; one list a message."""

    count: int
    memory: float = 0.0
    """KiB resident for each."""
    missed: int = 0
    twice: int = 0
    messages: list[list[float]] = field(default_factory=list)
    said: int = 0

    async def speak(self, plan: Plan, crowd: Crowd, job: Job) -> None:
        for message in range(1 + 5 * plan.rounds):
            plan.say(f"realtime: message {message} to {self.count}")
            await asyncio.sleep(CALM)
            await job.say(timelines.stamp())
            late = crowd.ask("heard", count=self.count)
            self.said += 1
            if message:  # the first warms what it touches
                self.messages.append([seconds * 1000 for seconds in late])
        await asyncio.sleep(CALM)
        told = crowd.ask("tally", events=self.said)
        self.missed, self.twice = told["missed"], told["twice"]

    def p(self, share: float) -> float:
        return median([at(message, share) for message in self.messages])


def _record(fact: Fact) -> Record:
    return Record(at=now(), cause="bench", facts=(fact,))
