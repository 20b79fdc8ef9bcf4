"""What the carrier does not give up, and does not overlook: a forge that is away for a moment, a stop behind other news, a crowd."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bench.standins import MemoryForge
from tests.flows.carried import Box, Changed, Program, about, carrying
from trunkline.bus import Bus, BusSettings, connect
from trunkline.contracts.errors import Unavailable
from trunkline.contracts.record import Record
from trunkline.contracts.run import ApprovalWanted, RunStopped, RunSucceeded
from trunkline.contracts.task import StopCause, TaskSlaBreached, TaskStopRequested
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_sandbox.handlers.judge_push import Judgement, JudgePush
from trunkline_sandbox.handlers.world import Job
from trunkline_sandbox.model.outgoing import OutgoingPolicy
from trunkline_sandbox.model.rules import Rules
from trunkline_sandbox.ports import Access, AddedLine, Remote

pytestmark = [pytest.mark.flow, pytest.mark.timeout(60)]


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server() as running:
        yield running


@pytest.fixture
async def bus(server: NatsServer) -> AsyncIterator[Bus]:
    async with connect(BusSettings.model_validate({"nats_url": server.url}), "test") as bus:
        yield bus


async def goes(program: Program, box: Box) -> None:
    await program.say(type="session", id="s1")
    await program.say(type="turn_over", summary="done")
    while (await program.hear())["type"] != "close":
        pass


async def waits(program: Program, box: Box) -> None:
    await program.say(type="session", id="s1")
    await program.ask("c1", command="make")


class AwayForge(MemoryForge):
    """Away for the first question."""

    def __init__(self) -> None:
        self.asked = 0

    @asynccontextmanager
    async def remote(self, access: Access) -> AsyncIterator[Remote]:
        self.asked += 1
        if self.asked == 1:
            raise Unavailable("The forge is away.", code="FORGE_UNAVAILABLE")
        yield Remote(access.repo)


class Adds(Changed):
    """A commit that adds these lines, the last with the number 0 where it says so."""

    def __init__(self, *lines: AddedLine, paths: tuple[str, ...] = ("a.py",)) -> None:
        super().__init__(*paths)
        self.lines = lines

    async def added_lines(self, bare: Path, base: str, commit: str) -> AsyncIterator[AddedLine]:
        for line in self.lines:
            yield line


async def judged(bus: Bus, git: Changed, repo: str = "acme/shop", task: str = "") -> Judgement:
    job = SimpleNamespace(item=SimpleNamespace(tenant="acme", task=task or new_id()), assignment=SimpleNamespace(repo=repo))
    run: Any = SimpleNamespace(cloned=SimpleNamespace(commit="a"), committed=SimpleNamespace(commit="b"))
    policy = OutgoingPolicy(paths=("CODEOWNERS",), pull_requests=2)
    return await JudgePush(cast(Any, git), bus.limits, policy)(cast(Job, job), run, Path("unused"))


async def test_a_forge_that_is_away_for_a_moment_ends_no_run(server: NatsServer, tmp_path: Path) -> None:
    forge = AwayForge()
    async with carrying(server.url, about(Box(goes), tmp_path, rules=Rules(), forge=forge)) as job:
        await job.until(RunSucceeded)
    assert forge.asked > 1


async def test_a_stop_is_seen_though_more_was_said_behind_it(server: NatsServer, tmp_path: Path) -> None:
    async with carrying(server.url, about(Box(waits), tmp_path)) as job:
        await job.until(ApprovalWanted)
        place = job.subject("task")
        for fact in (TaskStopRequested(cause=StopCause.CANCELLED, by="ann", reason=""), TaskSlaBreached(due_at=now())):
            last = await job.bus.log.last(place)
            assert last is not None
            await job.bus.log.append(place, Record(at=now(), cause="test", facts=(fact,)), expect=last.seq, id=new_id())
        await job.until(RunStopped)


async def test_a_repository_is_one_however_it_is_spelt_and_one_task_counts_once(bus: Bus) -> None:
    first = new_id()
    for _ in range(3):
        assert not (await judged(bus, Adds(), "acme/one", first)).reasons
    assert not (await judged(bus, Adds(), "Acme/One")).reasons
    third = await judged(bus, Adds(), "acme/one.git")
    assert (third.kind, len(third.reasons)) == ("pull_requests", 1)
    both = await judged(bus, Adds(paths=("CODEOWNERS",)), "acme/one")
    assert (both.kind, len(both.reasons)) == ("push", 2)


@pytest.mark.parametrize(
    ("git", "told"),
    [
        (Adds(AddedLine("a.py", 3, "token = ghp_" + "a1B2" * 9)), "a.py:3 (github-token)"),
        (Adds(AddedLine("k.yaml", 2, b64encode(b"token: ghp_" + b"a1B2" * 9).decode())), "k.yaml:2 (github-token)"),
        (Adds(AddedLine("a.bin", 1, "\0".join("ghp_" + "a1B2" * 9))), "a.bin:1 (github-token)"),
        (Adds(paths=("ghp_" + "a1B2" * 9,)), "(github-token)"),
        (Adds(AddedLine("big", 0, "")), "more than can be searched"),
    ],
    ids=["a line", "in base64", "in two bytes a letter", "a name", "too much"],
)
async def test_a_secret_is_seen_before_it_leaves(bus: Bus, git: Changed, told: str) -> None:
    judgement = await judged(bus, git, repo=f"acme/{new_id()}")
    assert judgement.kind == "push"
    assert told in judgement.reasons[0]
