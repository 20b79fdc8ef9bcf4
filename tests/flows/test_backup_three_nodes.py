"""A cluster of three under load is written down and put back into another one, which goes on: nothing is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from tests import campaigns
from tests.flows.fleet import MEMORY, NAMES, Fleet, fleet
from tests.flows.fleet_load import Followed, Load, session
from trunkline.auth.nkeys import Issuer
from trunkline.bus import Bus, connect
from trunkline.bus.accounts import CONTROL_USER
from trunkline.bus.visiting import visiting
from trunkline.contracts.task import ENDS, TaskSubmitted
from trunkline.testing import warm
from trunkline.testing.nats import PASSWORD, NatsServer, nats_cluster
from trunkline.testing.warm import Forked

pytestmark = [
    pytest.mark.flow,
    pytest.mark.kill,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not campaigns.LONG, reason="two clusters, a minute or two; `make campaigns` does it"),
]
KILLS = 4
PLACES = 3


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="trunkline-backups-") as folder:
        (Path(folder) / "key").write_text("k" * 43 + "=")
        yield Path(folder)


@contextmanager
def elsewhere(first: Fleet) -> Iterator[Fleet]:
    """Three other nodes with nothing on them, and no service yet."""
    with (
        tempfile.TemporaryDirectory(prefix="trunkline-fleet-", ignore_cleanup_errors=True) as place,
        nats_cluster(PLACES, Issuer.of(first.seed).public, MEMORY if MEMORY.is_dir() else None) as nodes,
    ):
        made = Fleet(Path(place), nodes, first.seed)
        try:
            yield made
        finally:
            made.stop()


def typed(nodes: list[NatsServer], folder: Path, *words: str) -> Forked:
    """A command of the operator's, begun."""
    where = ["--nats", ",".join(node.open_url for node in nodes), "--nats-user", CONTROL_USER, "--key-file", str(folder / "key")]
    with (folder / "log").open("ab") as log:
        return warm.start(["trunkline_cli", *words, *where], {**os.environ, "TRUNKLINE_NATS_PASSWORD": PASSWORD}, log, folder)


async def ended(command: Forked, folder: Path) -> int:
    code = await asyncio.to_thread(command.wait, 180)
    return code if code == 0 else pytest.fail((folder / "log").read_text()[-2000:])


async def timelines(bus: Bus, up_to: int) -> dict[str, list[bytes]]:
    """Every record of the log, by its subject."""
    found: dict[str, list[bytes]] = {}
    for stored in (await bus.log.load("evt.>")).records:
        if stored.seq <= up_to:
            found.setdefault(stored.subject, []).append(stored.body)
    return found


async def test_a_cluster_goes_on_elsewhere_out_of_a_backup_that_was_taken_under_load(folder: Path) -> None:
    with fleet() as first:
        async with session() as http, connect(first.bus, "test") as was:
            over, load = asyncio.Event(), Load(first.gateways, http)
            async with asyncio.TaskGroup() as group:
                group.create_task(load.run(over))
                await load.more_ended(2)
                await ended(typed(first.nodes, folder, "backup", str(folder / "one.backup")), folder)
                await load.more(2)
                over.set()
            with elsewhere(first) as second:
                await restored_though_killed(second, folder)
                async with connect(second.bus, "test") as bus:
                    last = await bus.log.last_seq()
                    assert await was.log.last_seq() > last
                    assert await timelines(bus, last) == await timelines(was, last)
                first.stop()
                await goes_on(second, last)


async def restored_though_killed(second: Fleet, folder: Path) -> None:
    """Killed at any moment it is begun again; so it is when a node dies under it."""
    for number in range(KILLS):
        begun = typed(second.nodes, folder, "restore", str(folder / "one.backup"))
        await asyncio.sleep(random.uniform(0.3, 6.0))
        begun.kill()
        if number == KILLS - 1:
            node = random.choice(second.nodes)
            await asyncio.to_thread(node.kill)
            await asyncio.to_thread(node.start)
            await asyncio.to_thread(second.await_whole)
    await ended(typed(second.nodes, folder, "restore", str(folder / "one.backup")), folder)
    streams = await told_streams(second)
    assert "RESTORING" not in streams and set(streams.values()) == {PLACES}, streams
    for node in second.nodes:  # what is there is there after a start, too
        await asyncio.to_thread(node.kill)
    for node in second.nodes:
        await asyncio.to_thread(node.start)
    await asyncio.to_thread(second.await_whole)
    assert await told_streams(second) == streams


async def told_streams(second: Fleet) -> dict[str, int]:
    async with visiting(second.bus) as visit:
        return {str(each["config"]["name"]): int(each["config"]["num_replicas"]) for each in await visit.streams()}


async def goes_on(second: Fleet, last: int) -> None:
    """Its services end what was under way, once, and take new work."""
    await asyncio.to_thread(second.start, *NAMES)
    async with session() as http, connect(second.bus, "test") as bus:
        over, load = asyncio.Event(), Load(second.gateways, http)
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run(over))
            await load.more_ended(2)
            over.set()
        for subject in {subject for subject in await timelines(bus, last) if subject.endswith(".task")}:
            task = Followed(str(UUID(subject.split(".")[2])))
            async with asyncio.timeout(60):
                while not task.ended:
                    await load.read(task, second.gateways[0])
            facts = [fact for stored in (await bus.log.load(subject)).records for fact in stored.record.facts]
            assert [sum(isinstance(fact, kind) for fact in facts) for kind in (TaskSubmitted, ENDS)] == [1, 1], subject
