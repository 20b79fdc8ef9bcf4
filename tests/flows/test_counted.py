"""An agent that lies about its tokens changes nothing: what a run used is what passed its model door, however the run ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bench.standins import MemoryForge
from tests.flows.carried import TENANT, Box, Carried, Program, Script, about, carrying
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.folding import fold
from trunkline.contracts.ids import TaskId
from trunkline.contracts.record import Event, Record
from trunkline.contracts.run import AgentEnded, AgentOutput, RunFailed, RunStopped, RunSucceeded, Usage
from trunkline.contracts.spend import ModelAnswered
from trunkline.contracts.task import StopCause, TaskFailed, TaskStopRequested
from trunkline.contracts.views import TaskView
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_sandbox.model.rules import Rules
from trunkline_sandbox.ports import Access, PullRequest, PullRequestSpec

pytestmark = [pytest.mark.flow, pytest.mark.timeout(60)]
LIE = {"type": "usage", "model": "free-of-charge", "input_tokens": 1, "output_tokens": 1, "cost_usd": 0.0}
COUNTED = Usage(model="claude-sonnet", input_tokens=2400, output_tokens=680, cost_usd=0.48)


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server() as running:
        yield running


class Shown(MemoryForge):
    """Keeps what it was asked to open."""

    def __init__(self) -> None:
        self.asked: list[PullRequestSpec] = []

    async def open_pull_request(self, access: Access, spec: PullRequestSpec) -> PullRequest:
        self.asked.append(spec)
        return await super().open_pull_request(access, spec)


async def asks_its_model(program: Program, box: Box) -> None:
    """Twice, through its door."""
    for _ in range(2):
        told = {"attempt": 0, "sitting": 0, "request": new_id(), "shape": "anthropic", "model": "claude-sonnet", "status": 200}
        answer = ModelAnswered.model_validate({**told, "input_tokens": 1200, "output_tokens": 340, "usd": 0.24})
        await box.tills[program.launch.key].spent(answer)


async def lies(program: Program, box: Box) -> None:
    await program.say(type="session", id="s1")
    await program.say(**LIE)
    await program.say(type="turn_over", summary="done")
    while (await program.hear())["type"] != "close":
        pass


async def asks_and_lies(program: Program, box: Box) -> None:
    await asks_its_model(program, box)
    await lies(program, box)


async def asks_lies_and_fails(program: Program, box: Box) -> None:
    await asks_its_model(program, box)
    await program.say(**LIE)
    await program.say(type="result", ok=False, error="It cannot be done.", recoverable=False)


async def asks_lies_and_stays(program: Program, box: Box) -> None:
    await asks_its_model(program, box)
    await program.say(**LIE)
    await program.say(type="message", text="at work")
    await program.hear()


async def viewed(job: Carried) -> TaskView:
    """As readers see it."""
    view: TaskView | None = None
    every = await job.bus.log.load(f"evt.{TENANT}.{job.task}.>")
    for stored in every.records:
        for index, fact in enumerate(stored.record.facts):
            at = Cursor("e", stored.seq, index)
            view = fold(view, Event(at, TENANT, TaskId(job.task), "", stored.record.at, fact))
    assert view is not None
    return view


@asynccontextmanager
async def run_of(server: NatsServer, folder: Path, script: Script, forge: MemoryForge | None = None) -> AsyncIterator[Carried]:
    async with carrying(server.url, about(Box(script), folder, rules=Rules(), forge=forge or MemoryForge())) as job:
        yield job


async def says(job: Carried, fact: TaskStopRequested | TaskFailed) -> None:
    last = await job.bus.log.last(job.subject("task"))
    assert last is not None
    await job.bus.log.append(job.subject("task"), Record(at=now(), cause="test", facts=(fact,)), expect=last.seq, id=new_id())


async def test_a_liar_that_asked_no_model_that_we_know_of_has_a_result_that_knows_nothing(server: NatsServer, tmp_path: Path) -> None:
    forge = Shown()
    async with run_of(server, tmp_path, lies, forge) as job:
        result = (await job.until(RunSucceeded)).result
        claimed = (await job.until(AgentEnded)).usage
    assert claimed.model == "free-of-charge", "the agent lied"
    assert result.usage == Usage()
    assert [(spec.cost, "free-of-charge" in spec.body, "It cost" in spec.body) for spec in forge.asked] == [("", False, False)]


async def test_a_liar_is_told_to_have_used_what_passed_its_door(server: NatsServer, tmp_path: Path) -> None:
    forge = Shown()
    async with run_of(server, tmp_path, asks_and_lies, forge) as job:
        result = (await job.until(RunSucceeded)).result
        view = await viewed(job)
    assert result.usage == view.used == COUNTED
    assert "It cost US$ 0.48, 2,400 tokens in, 680 tokens out, claude-sonnet." in forge.asked[0].body


async def test_a_liar_that_fails_used_what_passed_its_door(server: NatsServer, tmp_path: Path) -> None:
    async with run_of(server, tmp_path, asks_lies_and_fails) as job:
        failed = await job.until(RunFailed)
        await says(job, TaskFailed(code=failed.code, error=failed.error))
        view = await viewed(job)
    assert (view.used, view.status.terminal) == (COUNTED, True)
    assert view.sandbox_seconds is not None


async def test_a_liar_that_is_stopped_used_what_passed_its_door(server: NatsServer, tmp_path: Path) -> None:
    async with run_of(server, tmp_path, asks_lies_and_stays) as job:
        await job.until(AgentOutput, part="output")
        await says(job, TaskStopRequested(cause=StopCause.CANCELLED, by="ann", reason=""))
        await job.until(RunStopped)
        view = await viewed(job)
    assert view.used == COUNTED
    assert view.sandbox_seconds is not None
