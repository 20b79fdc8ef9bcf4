"""What is Daytona's alone: its words, its wishes, and a sandbox that it stops or breaks."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conformance.sandbox.agents import LONG, asleep, gone, shell
from tests.conformance.sandbox.conftest import Far, at_daytona, daytona, options
from trunkline.contracts.errors import Unsupported
from trunkline.testing.fake_daytona import FakeDaytona
from trunkline_sandbox.adapters.providers.daytona.states import meaning
from trunkline_sandbox.adapters.providers.remote.frames import LOST
from trunkline_sandbox.ports import Exit

SDK_LOOK_S = 1.0
"""Between two looks of the SDK at a sandbox that boots."""


@pytest.fixture
async def box(root: Path) -> AsyncIterator[Far]:
    async with at_daytona(root) as far:
        yield far


async def test_what_is_asked_of_daytona_is_what_was_wanted(box: Far) -> None:
    await box.ensure(egress=("example.com", "example.org"), labels={"task": "x"})
    body = next(iter(box.fake.boxes.values())).body
    assert body["autoStopInterval"] == 0 and isinstance(body["ttlMinutes"], int) and body["ttlMinutes"] > 60
    assert body["domainAllowList"] == "example.com,example.org" and body.get("networkBlockAll") is None
    await box.other("shut").ensure()
    shut = next(one.body for one in box.fake.boxes.values() if one.name == "trunkline-shut")
    assert shut["networkBlockAll"] is True and dict((await box.provider.list())[0].labels) == {"task": "x"}


async def test_a_sandbox_that_boots_is_waited_for_no_longer_than_until_the_next_look_of_the_sdk(box: Far) -> None:
    await box.run(shell("true"))  # the SDK is loaded, which takes two seconds once
    took = []
    for boot in (0.0, 0.9):  # what a loaded machine makes of our own part is in both
        box.fake.boot_s, new, began = boot, box.other(f"in-{boot * 10:.0f}"), time.monotonic()
        await new.start(shell("echo up"))
        assert await new.first_line() == b"up"
        took.append(time.monotonic() - began - boot)
    at_once, booting = took
    assert booting - at_once <= SDK_LOOK_S


async def test_a_sandbox_that_was_stopped_by_daytona_is_started_and_its_run_is_lost(box: Far) -> None:
    await box.run(shell("echo kept > file"))
    await box.provider.start(box.id, shell("echo up; sleep LONG", "k2"))
    assert await box.first_line("k2") == b"up"
    box.fake.halt(next(iter(box.fake.boxes.values())))
    heard = await box.hear("k2")
    assert heard.out == [b"up"] and heard.exit == LOST
    await box.provider.start(box.id, shell("cat file", "k3"))
    assert (await box.hear("k3")).out == [b"kept"]


async def test_one_that_broke_is_made_anew(box: Far) -> None:
    await box.ensure()
    next(iter(box.fake.boxes.values())).state = "error"
    box.provider._rooms.forget(box.id)
    await box.ensure()
    assert [one.state for one in box.fake.boxes.values()] == ["started"]


async def test_an_end_on_record_stays_what_it_was(box: Far) -> None:
    assert (await box.run(shell("exit 9"))).exit == Exit(9)
    await box.provider.stop(box.id)
    assert (await box.hear()).exit == Exit(9)


async def test_a_runner_that_was_killed_leaves_a_lost_run_and_nobody(box: Far) -> None:
    await box.start(shell("echo up; sleep LONG"))
    assert await box.first_line() == b"up"
    shepherd = (await asleep()).parents()
    next(one for one in shepherd if any("runner-" in word for word in one.cmdline())).kill()
    assert (await box.hear()).exit == LOST and await gone(LONG)


async def test_without_any_session_the_spool_is_asked_for(box: Far) -> None:
    box.fake.faults.arm("session", "500", times=1000)
    heard = await box.run(shell("for i in $(seq 5); do echo $i; done; exit 5"))
    assert heard.out == [str(i).encode() for i in range(1, 6)] and heard.exit == Exit(5)


def test_every_state_of_daytona_has_a_meaning() -> None:
    from daytona import SandboxState

    meanings = {state.value: meaning(state.value) for state in SandboxState}
    assert meanings["started"] == "ready" and {meanings["stopped"], meanings["archived"]} == {"stopped"}
    assert {name for name, its in meanings.items() if its == "creating"} == {
        "creating", "starting", "restoring", "pending_build", "building_snapshot", "pulling_snapshot",
    }  # fmt: skip
    assert {name for name, its in meanings.items() if its == "moving"} == {  # it comes to rest again: nobody's files are given up
        "stopping", "archiving", "pausing", "resuming", "resizing", "snapshotting", "forking",
    }  # fmt: skip
    assert meanings["error"] == meanings["unknown"] == meaning("a word of tomorrow") == "error" and meanings["destroyed"] == "gone"


async def test_one_that_is_on_its_way_at_daytona_is_not_broken_and_is_woken_when_it_has_come_to_rest(box: Far) -> None:
    await box.ensure()
    machine = next(iter(box.fake.boxes.values()))
    machine.state = "archiving"
    seen = await box.provider.look(box.id)
    assert seen is not None and seen.state == "moving"
    async with asyncio.TaskGroup() as group:
        group.create_task(box.provider.rouse(box.id))
        await asyncio.sleep(0.1)
        machine.state = "stopped"
    assert machine.state == "started"


def test_without_the_sdk_it_says_what_to_install(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "daytona", None)
    provider = daytona(FakeDaytona(root), options(root / "ours"))
    with pytest.raises(Unsupported, match="pip install") as refusal:
        asyncio.run(provider.list())
    assert refusal.value.code == "NO_DAYTONA_SDK"
