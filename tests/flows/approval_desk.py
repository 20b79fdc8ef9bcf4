"""What the flow tests of approvals share: asking, answering, what lies in the log, and the service inside the test or as a process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from trunkline.bus import Bus, BusSettings, connect
from trunkline.contracts import subjects
from trunkline.contracts.approval import (
    ApprovalAnswer,
    ApprovalDecided,
    ApprovalRequested,
    DecideApproval,
    DecidedBy,
    RequestApproval,
    Verdict,
)
from trunkline.contracts.errors import DomainError
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Accepted, Fact
from trunkline.contracts.record import Record
from trunkline.contracts.task import Assignment, Hold, TaskAssigned, TaskCancelled, TaskHeld, TaskHoldDropped, TaskSubmitted
from trunkline.runtime.clock import now
from trunkline.runtime.faults import DIRECTORY
from trunkline.runtime.ids import new_id
from trunkline.testing import warm
from trunkline.testing.warm import Forked
from trunkline_approvals.settings import Settings
from trunkline_approvals.wiring import running

DIGEST = "a" * 64
Policies = Sequence[Mapping[str, object]]


def ask(approval: str, expires_in: float | None = None) -> RequestApproval:
    expires_at = now() + timedelta(seconds=expires_in) if expires_in else None
    return RequestApproval(
        tenant="acme", at=now(), approval_id=approval, task_id="t1", subject="Deploy.", digest=DIGEST, requested_by="agent",
        expires_at=expires_at,
    )  # fmt: skip


def answer(approval: str, by: str, verdict: Verdict = Verdict.APPROVED, **changes: object) -> DecideApproval:
    said = {"by": by, "role": "approver", "decision_id": new_id(), "digest": DIGEST, "task_id": "t1", **changes}
    return DecideApproval.model_validate({"tenant": "acme", "at": now(), "approval_id": approval, "verdict": verdict, **said})


def held(digest: str = DIGEST) -> tuple[Fact, ...]:
    """What the router decides about a task that has to wait."""
    begun = TaskSubmitted(assignment=Assignment(), submitted_by="agent", deadline_at=now())
    hold = TaskHeld(
        hold=Hold(digest=digest, reasons=("It is critical.",)), subject="Begin.", requested_by="agent", about={"priority": "P0"}
    )
    return begun, TaskAssigned(pool="ops_agent", attempt=1), hold


def ended() -> tuple[Fact, ...]:
    return TaskHoldDropped(approval_id="release"), TaskCancelled(by="agent", reason="not needed")


async def router_says(bus: Bus, task: str, *facts: Fact, after: int = 0) -> int:
    subject = subjects.event(TenantId("acme"), TaskId(task), subjects.TASK)
    return await bus.log.append(subject, Record(at=now(), cause="test", facts=facts), expect=after, id=new_id())


async def facts(bus: Bus, approval: str, task: str = "t1") -> list[Fact]:
    loaded = await bus.log.load(subjects.event(TenantId("acme"), TaskId(task), f"approval-{approval}"))
    return [fact for stored in loaded.records for fact in stored.record.facts]


async def words(bus: Bus, approval: str, task: str = "t1") -> list[str]:
    """The types of its facts, in order."""
    return [str(fact.model_dump()["type"]) for fact in await facts(bus, approval, task)]


async def until(bus: Bus, approval: str, kind: str, task: str = "t1", within: float = 30.0) -> list[Fact]:
    """Waits for a fact of that type; all facts then."""
    async with asyncio.timeout(within):
        while kind not in await words(bus, approval, task):  # noqa: ASYNC110 - the log is looked at, nobody tells
            await asyncio.sleep(0.05)
    return await facts(bus, approval, task)


async def decision(bus: Bus, approval: str, task: str = "t1") -> ApprovalDecided:
    """Waits for it."""
    last = (await until(bus, approval, "approval.decided", task))[-1]
    assert isinstance(last, ApprovalDecided)
    return last


async def asked(bus: Bus, approval: str, task: str = "t1") -> ApprovalRequested:
    """Waits for it."""
    first = (await until(bus, approval, "approval.requested", task))[0]
    assert isinstance(first, ApprovalRequested)
    return first


async def tell(bus: Bus, command: DecideApproval | RequestApproval) -> ApprovalAnswer:
    return ApprovalAnswer.model_validate((await bus.commands.send("approvals", command.approval_id, command)).body)


async def outcome(bus: Bus, command: DecideApproval) -> Accepted | DomainError:
    try:
        return await bus.commands.send("approvals", command.approval_id, command)
    except DomainError as error:
        return error


async def outcomes(bus: Bus, commands: list[DecideApproval]) -> list[Accepted | DomainError]:
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(outcome(bus, command)) for command in commands]
    return [task.result() for task in asked]


@asynccontextmanager
async def replicas(url: str, number: int, policies: Policies = ()) -> AsyncIterator[Bus]:
    settings = Settings.model_validate({"nats_url": url, "approval_policies": policies})
    async with AsyncExitStack() as stack:
        for _ in range(number):
            await stack.enter_async_context(running(settings))
        yield await stack.enter_async_context(caller(url))


@asynccontextmanager
async def caller(url: str) -> AsyncIterator[Bus]:
    """Somebody on the bus who is no approvals service."""
    async with connect(BusSettings.model_validate({"nats_url": url}), "test") as bus:
        yield bus


@dataclass
class Desk:
    """The approvals service as a process of its own, to be killed and started again."""

    url: str
    folder: Path
    policies: Policies = ()
    process: Forked | None = None

    def start(self) -> None:
        said = {"TRUNKLINE_NATS_URL": self.url, DIRECTORY: str(self.folder), "TRUNKLINE_APPROVAL_POLICIES": json.dumps(list(self.policies))}
        with (self.folder / "log").open("ab") as log:
            self.process = warm.start(["trunkline_approvals"], {**os.environ, **said}, log)

    async def ready(self, bus: Bus) -> None:
        async with asyncio.timeout(30):
            while not await bus.commands.ping("approvals", timeout=0.5):
                assert self.alive, (self.folder / "log").read_text()

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        if self.process and self.alive:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait(10)

    def arm(self, point: str, victim: str = "self") -> None:
        """When the service next passes `point`, it kills itself, or the process with this id."""
        (self.folder / ".draft").write_text(victim)
        (self.folder / ".draft").rename(self.folder / point)


async def dead(process: Forked | subprocess.Popen[bytes] | None) -> None:
    """Waits until it is."""
    async with asyncio.timeout(30):
        while process and process.poll() is None:  # noqa: ASYNC110 - a process, and nobody tells
            await asyncio.sleep(0.02)


@contextmanager
def desk(url: str, policies: Policies = ()) -> Iterator[Desk]:
    """A started service; ended at the end."""
    with tempfile.TemporaryDirectory(prefix="trunkline-desk-") as folder:
        one = Desk(url, Path(folder), policies)
        one.start()
        try:
            yield one
        finally:
            one.kill()


def timed_out(fact: ApprovalDecided) -> bool:
    return (fact.verdict, fact.decided_by, fact.by) == (Verdict.REJECTED, DecidedBy.TIMEOUT, "timeout")
