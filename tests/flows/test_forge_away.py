"""Work that is done outlives a forge that is away: it is waited for without a hand, seen by everybody, and kept when it stays away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from bench.standins import MemoryForge
from tests.flows.carried import Box, Carried, Program, about, carrying
from trunkline.bus import BusSettings, connect
from trunkline.contracts.errors import Denied, DomainError, Exhausted, Unavailable
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Record
from trunkline.contracts.run import (
    AgentStarted,
    RunFailed,
    RunGoesOn,
    RunParked,
    RunStopped,
    RunSucceeded,
    RunWaits,
    RunWoken,
    Wait,
)
from trunkline.contracts.task import StopCause, TaskStopRequested
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_sandbox.handlers.world import World
from trunkline_sandbox.model.patience import Patience
from trunkline_sandbox.model.rules import Rules
from trunkline_sandbox.ports import Access, PullRequest, PullRequestSpec, Remote
from trunkline_sandbox.wiring import serving

pytestmark = [pytest.mark.flow, pytest.mark.timeout(60)]
AWAY = Unavailable("The forge is away.", code="FORGE_UNAVAILABLE")
SHORT = Patience(here=(0.01,), first=0.05, most=0.1)
FOR_EVER = 10**9


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server() as running:
        yield running


async def goes(program: Program, box: Box) -> None:
    await program.say(type="session", id="s1")
    await program.say(type="turn_over", summary="done")
    while (await program.hear())["type"] != "close":
        pass


@dataclass
class AwayForge(MemoryForge):
    """Refuses each of its first calls of the steps named."""

    clones: int = 0
    pushes: int = 0
    opens: int = 0
    error: DomainError = field(default_factory=lambda: AWAY)
    asked: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def remote(self, access: Access) -> AsyncIterator[Remote]:
        step = "push" if "clone" in self.asked and self.clones <= 0 else "clone"
        self.asked.append(step)
        if step == "clone":
            self.clones -= 1
        else:
            self.pushes -= 1
        if (self.clones if step == "clone" else self.pushes) >= 0:
            raise self.error
        yield Remote(access.repo)

    async def open_pull_request(self, access: Access, spec: PullRequestSpec) -> PullRequest:
        self.asked.append("open")
        self.opens -= 1
        if self.opens >= 0:
            raise self.error
        return PullRequest(1, "http://127.0.0.1/pulls/1")


def world(folder: Path, forge: MemoryForge, patience: Patience = SHORT) -> World:
    return about(Box(goes), folder, rules=Rules(), forge=forge, patience=patience)


async def stop(job: Carried) -> None:
    place = job.subject("task")
    last = await job.bus.log.last(place)
    assert last is not None
    fact: Fact = TaskStopRequested(cause=StopCause.CANCELLED, by="ann", reason="")
    await job.bus.log.append(place, Record(at=now(), cause="test", facts=(fact,)), expect=last.seq, id=new_id())


@pytest.mark.parametrize("away", [{"clones": 6}, {"pushes": 6}, {"opens": 6}], ids=lambda away: next(iter(away)))
async def test_a_forge_that_is_away_for_long_is_waited_for_without_a_hand(server: NatsServer, tmp_path: Path, away: dict[str, int]) -> None:
    async with carrying(server.url, world(tmp_path, AwayForge(**away))) as job:
        await job.until(RunSucceeded)
        assert [waits.why for waits in await job.of(RunWaits)] == [Wait.FORGE]
        parked = await job.of(RunParked)
        assert len(parked) == len(await job.of(RunWoken)) == 5  # the sixth try is the second of the first hand
        assert all(each.why is Wait.FORGE and each.until for each in parked)
        assert len(await job.of(RunGoesOn)) == 1
        assert [started.sitting for started in await job.of(AgentStarted)] == [1]


async def test_a_forge_that_names_a_moment_is_not_asked_before(server: NatsServer, tmp_path: Path) -> None:
    forge = AwayForge(opens=1, error=Exhausted("Too often.", code="FORGE_LIMITED", retry_after=2.0))
    patience = Patience(longest_here=1.0)
    async with carrying(server.url, world(tmp_path, forge, patience)) as job:
        parked = await job.until(RunParked)
        assert forge.asked.count("open") == 1
        woken = await job.until(RunWoken)
        assert parked.until is not None and woken is not None
        assert now() >= parked.until > now() - timedelta(minutes=1)
        await job.until(RunSucceeded)
    assert forge.asked.count("open") == 2


async def test_a_forge_that_stays_away_ends_the_task_and_says_how_it_is_gone_on_with(server: NatsServer, tmp_path: Path) -> None:
    forge = AwayForge(pushes=FOR_EVER)
    async with carrying(server.url, world(tmp_path, forge, Patience(here=(), first=0.1, most=0.1, limit=0.5))) as job:
        failed = await job.until(RunFailed)
        assert (failed.code, failed.recoverable) == ("FORGE_UNAVAILABLE", False)
        assert "waited for" in failed.error
        assert await job.of(RunParked)


async def test_a_wait_of_more_than_the_limit_is_not_begun(server: NatsServer, tmp_path: Path) -> None:
    forge = AwayForge(opens=FOR_EVER, error=Exhausted("Too often.", code="FORGE_LIMITED", retry_after=86400.0))
    async with carrying(server.url, world(tmp_path, forge, Patience())) as job:
        assert (await job.until(RunFailed)).code == "FORGE_LIMITED"
        assert not await job.of(RunParked)


@pytest.mark.parametrize("patience", [Patience(here=(0.01,), first=600.0, most=600.0), Patience(here=(600.0,))], ids=["parked", "held"])
async def test_a_task_is_cancelled_while_its_forge_is_away(server: NatsServer, tmp_path: Path, patience: Patience) -> None:
    forge = AwayForge(pushes=FOR_EVER)
    async with carrying(server.url, world(tmp_path, forge, patience)) as job:
        async with asyncio.timeout(15):
            while "push" not in forge.asked:  # noqa: ASYNC110 - the forge is looked at, nobody tells
                await asyncio.sleep(0.01)
        if patience.first > 500:
            await job.until(RunParked)
        await stop(job)
        await job.until(RunStopped)
        assert not await job.of(RunFailed)


async def test_a_replica_that_dies_meanwhile_is_followed_by_another_that_goes_on_there(server: NatsServer, tmp_path: Path) -> None:
    forge = AwayForge(opens=3)
    there = world(tmp_path, forge, Patience(here=(), first=1.0, most=1.0))
    async with carrying(server.url, there) as job:
        await job.until(RunParked)
    async with connect(BusSettings.model_validate({"nats_url": server.url}), "sandbox") as bus, serving(bus, there, 1):
        again = Carried(bus, job.task)
        await again.until(RunSucceeded)
        assert len(await again.of(AgentStarted)) == 1
        assert len(await again.of(RunWaits)) == len(await again.of(RunGoesOn)) == 1


async def test_what_the_forge_refuses_for_good_is_not_waited_for(server: NatsServer, tmp_path: Path) -> None:
    forge = AwayForge(opens=FOR_EVER, error=Denied("No.", code="FORGE_DENIED"))
    async with carrying(server.url, world(tmp_path, forge)) as job:
        assert (await job.until(RunFailed)).code == "FORGE_DENIED"
        assert forge.asked.count("open") == 1
