"""What the flow tests of steering share: the inbox served inside the test or as a process, tasks to speak to, and what the log says."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from trunkline.bus import Bus, BusSettings, WorkItem, connect
from trunkline.contracts import subjects
from trunkline.contracts.errors import DomainError
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Command, Fact
from trunkline.contracts.record import Record
from trunkline.contracts.steering import (
    EditMessage,
    ListMessages,
    MessageQueueView,
    ReorderMessages,
    SayToAgent,
    Steer,
    SteerRun,
    WithdrawMessage,
)
from trunkline.contracts.task import Assignment, TaskAssigned, TaskSubmitted
from trunkline.runtime.actor import Actor
from trunkline.runtime.clock import now
from trunkline.runtime.faults import DIRECTORY
from trunkline.runtime.ids import new_id
from trunkline.telemetry.redaction import Redactor
from trunkline.testing import warm
from trunkline.testing.warm import Forked
from trunkline_sandbox.handlers.answer_inbox import AnswerInbox
from trunkline_sandbox.handlers.inbox import Inbox, Inboxes
from trunkline_sandbox.handlers.world import Job
from trunkline_sandbox.model import Skill
from trunkline_sandbox.model.inbox import decide, evolve

TASK = "t1"
SECRET = "sk-canary-0123456789abcdef"
JOB = cast(Job, SimpleNamespace(item=WorkItem(tenant="acme", task=TASK, attempt=1, pool="dev", priority="P2")))
"""All that an inbox has to know of a job."""


@dataclass(frozen=True)
class Replica:
    """One sandbox service, as far as it has to do with messages."""

    bus: Bus
    inbox: Inbox


async def knowing(*_: object) -> Redactor:
    """What knows the secrets of every task here."""
    return Redactor([("model_key", SECRET)])


@asynccontextmanager
async def replica(url: str) -> AsyncIterator[Replica]:
    async with connect(BusSettings.model_validate({"nats_url": url}), "sandbox") as bus:
        inboxes: Inboxes = Actor(bus.log, decide, evolve)
        answer = AnswerInbox(inboxes, bus.log, knowing, lambda wish: Skill(interrupt=wish.agent != "deaf"))
        for kind, handler in ((SayToAgent, answer.say), (EditMessage, answer.edit), (WithdrawMessage, answer.withdraw)):
            bus.inlet.command("sandbox", kind, cast(Any, handler), stores=True)
        bus.inlet.command("sandbox", ReorderMessages, answer.reorder, stores=True)
        bus.inlet.command("sandbox", SteerRun, answer.steer, stores=True)
        bus.inlet.command("sandbox", ListMessages, answer.list)
        await bus.inlet.start("sandbox")
        yield Replica(bus, Inbox(inboxes, bus.log, now))


@asynccontextmanager
async def replicas(url: str, number: int) -> AsyncIterator[list[Replica]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(replica(url)) for _ in range(number)]


@asynccontextmanager
async def caller(url: str) -> AsyncIterator[Bus]:
    async with connect(BusSettings.model_validate({"nats_url": url}), "test") as bus:
        yield bus


async def begun(bus: Bus, task: str = TASK, agent: str | None = None) -> int:
    """A task that an agent of ours has; the sequence of its record."""
    asked = Assignment(repo="acme/shop", prompt="Fix the login bug.", agent=agent)
    facts = (TaskSubmitted(assignment=asked, submitted_by="ann", deadline_at=now()), TaskAssigned(pool="dev", attempt=1))
    return await router_says(bus, *facts, task=task)


async def router_says(bus: Bus, *facts: Fact, after: int = 0, task: str = TASK) -> int:
    return await bus.log.append(place("task", task), Record(at=now(), cause="test", facts=facts), expect=after, id=new_id())


def place(part: str, task: str = TASK) -> str:
    return subjects.event(TenantId("acme"), TaskId(task), part)


async def facts(bus: Bus, task: str = TASK) -> list[Fact]:
    return [fact for stored in (await bus.log.load(place("inbox", task))).records for fact in stored.record.facts]


async def say(bus: Bus, id: str, text: str = "also fix the tests", by: str = "ann") -> None:
    await send(bus, SayToAgent(message_id=id, text=text, **about(by)))


async def edit(bus: Bus, id: str, text: str, by: str = "ann") -> None:
    await send(bus, EditMessage(message_id=id, text=text, **about(by)))


async def withdraw(bus: Bus, id: str, by: str = "ann") -> None:
    await send(bus, WithdrawMessage(message_id=id, **about(by)))


async def reorder(bus: Bus, *ids: str) -> None:
    await send(bus, ReorderMessages(message_ids=ids, **about("ann")))


async def steer(bus: Bus, what: Steer, id: str = "") -> None:
    await send(bus, SteerRun(wish_id=id or new_id(), steer=what, **about("ann")))


async def send(bus: Bus, command: Command) -> None:
    await bus.commands.send("sandbox", TASK, command)


async def queue(bus: Bus) -> MessageQueueView:
    answer = await bus.commands.send("sandbox", TASK, ListMessages(tenant="acme", at=now(), task_id=TASK))
    return MessageQueueView.model_validate(answer.body)


def about(by: str) -> dict[str, Any]:
    return {"tenant": "acme", "at": now(), "task_id": TASK, "by": by}


async def refused(asking: Any) -> str:
    """The code that it was refused with; no text when it was taken."""
    try:
        await asking
    except DomainError as error:
        return error.code
    return ""


@dataclass
class Desk:
    """The same as a process of its own, to be killed and started again. It takes what waits when a file says so."""

    url: str
    folder: Path
    process: Forked | None = None

    def start(self) -> None:
        words = ["tests.flows.steering_desk", self.url, str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            self.process = warm.start(words, {**os.environ, DIRECTORY: str(self.folder)}, log)

    async def ready(self, bus: Bus) -> None:
        async with asyncio.timeout(30):
            while not await bus.commands.ping("sandbox", timeout=0.5):
                assert self.process and self.process.poll() is None, (self.folder / "log").read_text()

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


@contextmanager
def desk(url: str) -> Iterator[Desk]:
    with tempfile.TemporaryDirectory(prefix="trunkline-steering-") as folder:
        one = Desk(url, Path(folder))
        one.start()
        try:
            yield one
        finally:
            one.kill()


async def _serve(url: str, folder: Path) -> None:
    async with replica(url) as served:
        while True:
            await asyncio.sleep(0.02)
            if (folder / "take").exists() and (found := await served.inbox.next(JOB)):
                await served.inbox.take(JOB, found, 1)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], Path(sys.argv[2])))
