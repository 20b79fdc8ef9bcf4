"""The last version that was given out and this one share a bus: tasks go on while one takes over from the other. Long form only."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests import campaigns
from tests.architecture.source import ROOT
from tests.flows.fleet import NAMES, Fleet, fleet
from tests.flows.fleet_load import Load, session
from tests.flows.test_three_nodes import check_task
from trunkline.bus import connect

EARLIER = "13d6266"
"""The commit that is run beside this tree."""
OLD = tuple(name for name in NAMES if name.endswith("-0"))
NEW = tuple(name for name in NAMES if name.endswith("-1"))
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
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run(over))
            try:
                yield load
            finally:
                over.set()
        for followed in load.tasks.values():
            await check_task(bus, load, followed)


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
        await asyncio.to_thread(running.drain, *(name for name in NEW if not name.startswith("gateway")))
        await load.more(5, within=60)
    print(f"{len(load.tasks)} tasks, {dict(load.refusals)}")
