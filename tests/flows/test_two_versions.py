"""An earlier version and this one share a bus: tasks go on while one takes over from the other. Long form only."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from tests import campaigns
from tests.architecture.source import ROOT
from tests.flows.fleet import NAMES, Fleet, fleet
from tests.flows.fleet_load import Load, session
from tests.flows.test_three_nodes import check_task
from trunkline.bus import Bus, connect

EARLIER = os.environ.get("TRUNKLINE_EARLIER") or "13d6266"
"""The commit that is run beside this tree: the last that put released work elsewhere than this one does. Any later one may be named."""
OLD = tuple(name for name in NAMES if name.endswith("-0"))
NEW = tuple(name for name in NAMES if name.endswith("-1"))
CLOSE = 0.2
"""Seconds between two tasks."""
ORDER = ("sandbox", "relay", "router", "approvals", "gateway")
"""In which `docs/how-to/run-as-services.md` has them replaced."""

pytestmark = [
    pytest.mark.flow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not campaigns.LONG, reason="NOT TESTED, two versions at once: the campaigns do it"),
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The earlier version as it lay in the repository."""
    folder = tmp_path_factory.mktemp("earlier")
    packed = subprocess.run(["git", "archive", EARLIER], cwd=ROOT, capture_output=True, timeout=60)
    if packed.returncode:
        pytest.skip(f"NOT TESTED, two versions at once: the commit {EARLIER} is not in this clone")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed.stdout, check=True, timeout=60)
    return folder


@pytest.fixture
def running(tree: Path) -> Iterator[Fleet]:
    """All services of the earlier version, one of each."""
    with fleet(*OLD, earlier=dict.fromkeys(OLD, tree)) as running:
        yield running


@asynccontextmanager
async def under_load(running: Fleet) -> AsyncIterator[Load]:
    """Through whichever gateways are there; after it each task that was taken has ended once, and its readers missed nothing."""
    over = asyncio.Event()
    async with session() as http, connect(running.bus, "test") as bus:
        load = Load(running.gateways, http)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(load.run(over))
                try:
                    yield load
                finally:
                    over.set()
        except ExceptionGroup as broken:
            raise AssertionError(await how_it_stands(running, bus, load)) from broken
        for followed in load.tasks.values():
            await check_task(bus, load, followed)


async def how_it_stands(running: Fleet, bus: Bus, load: Load) -> str:
    """What is released, of what did not end who said what when, and who is there no more, asked to leave or not."""
    held = (await bus.client.jetstream().stream_info("WORK", subjects_filter=">")).state.subjects
    told = [f"WORK holds {held}", *running.gone()]
    for followed in (each for each in load.tasks.values() if not each.ended):
        stored = (await bus.log.load(f"evt.*.{UUID(followed.id).hex}.>")).records
        facts = [f"{each.record.at:%H:%M:%S} {fact!r:.200}" for each in stored for fact in each.record.facts]
        told.append("\n  ".join([followed.id, *facts]))
    return "\n".join(told)


async def test_tasks_go_on_while_this_version_takes_over_from_the_earlier_one(running: Fleet) -> None:
    async with under_load(running) as load:
        await load.more(5)
        await asyncio.to_thread(running.start, *NEW)
        await load.more(20, within=60)
        await asyncio.to_thread(running.kill, "sandbox-0")
        await asyncio.to_thread(running.drain, *(name for name in OLD if not name.startswith("sandbox")))
        began = time.monotonic()
        await load.more(10, within=60)
    print(f"{len(load.tasks)} tasks, {dict(load.refusals)}; alone it took 10 in {time.monotonic() - began:.0f} s")


def test_the_how_to_names_the_order_that_is_tried() -> None:
    assert " → ".join(ORDER) in (ROOT / "docs" / "how-to" / "run-as-services.md").read_text()


async def test_tasks_never_stand_still_while_one_service_after_the_other_is_replaced_in_that_order(running: Fleet) -> None:
    async with under_load(running) as load:
        await load.more(3)
        for service in ORDER:
            await asyncio.to_thread(running.start, f"{service}-1")
            await load.more_ended(3)
            await asyncio.to_thread(running.kill if service == "sandbox" else running.drain, f"{service}-0")
            await load.more_ended(3)
    print(f"{len(load.tasks)} tasks, {dict(load.refusals)}")


async def test_the_earlier_version_takes_over_again_after_a_rollback(running: Fleet) -> None:
    async with under_load(running) as load:
        await load.more(3)
        await asyncio.to_thread(running.start, *NEW)
        await load.more(10, within=60)
        await asyncio.to_thread(running.kill, *OLD)
        await asyncio.to_thread(running.start, *OLD)
        await load.more(10, within=60)
        load.pace = CLOSE  # so that something is being worked on when the hands of this version go
        await load.more(10, within=60)
        await asyncio.to_thread(running.drain, *(name for name in NEW if not name.startswith("gateway")))
        moved = await asyncio.to_thread(put_back, running)
        await load.more(5, within=60)
    print(f"{len(load.tasks)} tasks, {moved} lay in lines, {dict(load.refusals)}")


def put_back(running: Fleet) -> dict[str, int]:
    """What the how-to says is to be done last; how many released tasks of which pool the earlier version would not have found."""
    words = [sys.executable, "-m", "trunkline_cli", "rollback", "--json", "--nats", running.bus.nats_url]
    done = subprocess.run(words, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    moved: dict[str, int] = json.loads(done.stdout)["moved"]
    return moved
