"""What is told of a workspace that cannot be kept, and that neither a broken nor a slow keep stops a run or a stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.flows.carried import Box, Carried, Program, about, carrying
from trunkline.contracts.errors import Exhausted
from trunkline.contracts.ids import SandboxId
from trunkline.contracts.record import Record
from trunkline.contracts.run import AgentEnded, AgentStarted, RunStopped, RunSucceeded, SnapshotKept, SnapshotMissed
from trunkline.contracts.task import StopCause, TaskStopRequested
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_sandbox.handlers import steps
from trunkline_sandbox.model.rules import Rules
from trunkline_sandbox.model.snapshots import Held, Snapshot

pytestmark = [pytest.mark.flow, pytest.mark.timeout(60)]
COMMIT = "0" * 40


@dataclass
class Shelf:
    """ports.Keep whose shelf is broken, full, slow, or has no room for conversations."""

    error: Exception | None = None
    without: str = ""
    takes_s: float = 0.0
    held: list[Held] = field(default_factory=list)
    prepared: asyncio.Event = field(default_factory=asyncio.Event)

    async def keep(self, held: Held, prefix: str, at: int) -> Snapshot:
        self.held.append(held)
        await asyncio.sleep(self.takes_s)
        if self.error:
            raise self.error
        return Snapshot(f"{prefix}-ab", COMMIT, self.without)

    async def prepare(self, held: Held, at: int) -> None:
        self.prepared.set()
        if self.error:
            raise self.error

    async def put_away(self, id: SandboxId) -> None: ...

    async def restore(self, id: SandboxId, snapshot: Snapshot, bare: Path) -> None: ...

    async def home(self, id: SandboxId, snapshot: str) -> Mapping[str, bytes]:
        return {}

    async def sweep(self) -> None: ...


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server() as running:
        yield running


async def works(program: Program, box: Box) -> None:
    await program.say(type="session", id="s1")
    for number in range(3):
        await program.say(type="tool_result", id=str(number), output="ran")
    await program.say(type="turn_over", summary="done")
    while (await program.hear())["type"] != "close":
        pass


async def sleeps(program: Program, box: Box) -> None:
    await program.say(type="session", id="s1")
    await program.hear()


@asynccontextmanager
async def kept_on(server: NatsServer, shelf: Shelf, folder: Path, box: Box) -> AsyncIterator[Carried]:
    async with carrying(server.url, about(box, folder, rules=Rules(), keep=shelf)) as job:
        yield job


@pytest.mark.parametrize(
    ("error", "code"),
    [(Exhausted("It holds too many files.", code="SNAPSHOT_TOO_LARGE"), "SNAPSHOT_TOO_LARGE"), (OSError(5, "broken"), "SNAPSHOT_BROKE")],
    ids=["too large", "broken"],
)
async def test_what_cannot_be_kept_is_told_once_and_stops_no_run(server: NatsServer, tmp_path: Path, error: Exception, code: str) -> None:
    async with kept_on(server, Shelf(error), tmp_path, Box(works)) as job:
        await job.until(RunSucceeded)
        [missed] = await job.of(SnapshotMissed)
        assert (missed.code, missed.sitting, await job.of(SnapshotKept)) == (code, 1, [])


async def test_a_workspace_without_its_conversation_says_so(server: NatsServer, tmp_path: Path) -> None:
    async with kept_on(server, Shelf(without="It is too long."), tmp_path, Box(works)) as job:
        await job.until(RunSucceeded)
        assert {snapshot.session for snapshot in await job.of(SnapshotKept)} == {""}
        [missed] = await job.of(SnapshotMissed)
        assert (missed.code, missed.reason) == ("CONVERSATION_TOO_LARGE", "It is too long.")


async def test_what_the_last_snapshot_needs_is_done_while_the_program_ends(server: NatsServer, tmp_path: Path) -> None:
    shelf = Shelf()
    gone = asyncio.Event()

    async def lingers(program: Program, box: Box) -> None:
        await works(program, box)
        async with asyncio.timeout(20):
            await shelf.prepared.wait()
        assert not [held for held in shelf.held if held.last]
        gone.set()

    async with kept_on(server, shelf, tmp_path, Box(lingers)) as job:
        await job.until(RunSucceeded)
        assert gone.is_set() and [held.last for held in shelf.held][-1]
        assert [kept.at_rest for kept in await job.of(SnapshotKept)].count(True) == 1
        records = [stored.record.facts for stored in (await job.bus.log.load(job.subject("run"))).records]
        [end] = [facts for facts in records if any(isinstance(fact, AgentEnded) for fact in facts)]
        assert [type(fact) for fact in end] == [SnapshotKept, AgentEnded]  # what ends is kept: nobody finds the one without the other


async def stopped(job: Carried) -> None:
    await job.until(AgentStarted)
    place = job.subject("task")
    last = await job.bus.log.last(place)
    assert last is not None
    fact = TaskStopRequested(cause=StopCause.CANCELLED, by="ann", reason="")
    await job.bus.log.append(place, Record(at=now(), cause="test", facts=(fact,)), expect=last.seq, id=new_id())
    await job.until(RunStopped)


async def test_what_is_stopped_is_kept_as_it_stood_before_it_is_said_to_be_stopped(server: NatsServer, tmp_path: Path) -> None:
    shelf = Shelf()
    async with kept_on(server, shelf, tmp_path, Box(sleeps)) as job:
        await stopped(job)
        *_, snapshot, end = await job.facts()
        assert isinstance(snapshot, SnapshotKept) and isinstance(end, RunStopped)
        assert (snapshot.at_rest, snapshot.session, shelf.held[-1].last) == (True, "s1", True)


async def test_a_keep_that_takes_too_long_holds_up_no_stop(server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "KEPT_WITHIN_S", 0.2)
    async with kept_on(server, Shelf(takes_s=3600), tmp_path, Box(sleeps)) as job:
        await stopped(job)
        assert await job.of(SnapshotKept) == []
