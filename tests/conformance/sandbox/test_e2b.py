"""What is E2B's alone: its wishes, the end of a sandbox's time, and its memory that outlives a rest."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conformance.sandbox.agents import LONG, SMALL, asleep, eventually, gone, shell
from tests.conformance.sandbox.conftest import Far, at_e2b, e2b, options
from trunkline.contracts.errors import Unsupported
from trunkline.testing.fake_e2b import FakeE2b
from trunkline_sandbox.adapters.providers.remote.frames import LOST
from trunkline_sandbox.handlers.named_host import NAMED
from trunkline_sandbox.ports import Exit, Line, SandboxSpec


@pytest.fixture
async def box(root: Path) -> AsyncIterator[Far]:
    async with at_e2b(root) as far:
        yield far


async def test_what_is_asked_of_e2b_is_what_was_wanted(box: Far) -> None:
    await box.ensure(egress=("example.com", "example.org"), labels={"task": "x"})
    body = next(iter(box.fake.boxes.values())).body
    assert body["templateID"] == "base" and body["timeout"] == 3600 and body["autoPause"] is False
    assert (
        body["network"] == {"allowPublicTraffic": False, "allowOut": ["example.com", "example.org"], "denyOut": ["0.0.0.0/0"]}
        and "allow_internet_access" not in body
    )
    await box.other("shut").ensure()
    shut = next(one.body for one in box.fake.boxes.values() if one.metadata["trunkline.sandbox"] == "shut")
    assert shut["allow_internet_access"] is False and shut["network"] == {"allowPublicTraffic": False}
    assert {"task": "x"} in [dict(one.labels) for one in await box.provider.list()]


async def test_one_wish_that_is_asked_for_twice_is_one_sandbox(box: Far) -> None:
    wish = box.provider._machines._wish(SandboxSpec(box.id, SMALL, {"task": "x"}))
    first, second = [await box.provider._cloud.create(wish) for _ in range(2)]
    assert first.id == second.id and list(box.fake.boxes) == [first.id]


async def test_a_named_sandbox_whose_time_is_over_rests_and_goes_on_where_it_was(box: Far) -> None:
    await box.provider.ensure(SandboxSpec(box.id, SMALL, {NAMED: str(box.id)}))
    await box.provider.start(box.id, shell("echo up; sleep 0.5; echo on"))
    assert await box.first_line() == b"up"
    box.fake.expire(next(iter(box.fake.boxes.values())))
    seen = await box.provider.look(box.id)
    assert seen is not None and seen.state == "stopped"
    heard = await box.hear()
    assert heard.out == [b"up", b"on"] and heard.exit == Exit(0)


async def test_a_jobs_sandbox_whose_time_is_over_is_a_run_that_is_lost(box: Far) -> None:
    await box.start(shell("echo up; sleep LONG"))
    heard: list[Line | Exit] = []
    async with asyncio.timeout(20):
        async for one in box.provider.output(box.id, "k"):
            heard.append(one)
            for machine in list(box.fake.boxes.values()):
                box.fake.expire(machine)
    assert heard == [Line(1, b"up"), LOST] and await gone(LONG)


async def test_nothing_runs_on_in_a_sandbox_that_was_put_to_rest(box: Far) -> None:
    await box.start(shell("echo up; sleep LONG"))
    assert await box.first_line() == b"up" and await asleep()
    await box.provider.rest(box.id)
    assert await gone(LONG) and next(iter(box.fake.boxes.values())).state == "paused"
    await box.provider.rouse(box.id)
    assert (await box.hear()).exit.cause == "killed"


async def test_nobody_prints_the_spool_when_nobody_listens_any_more(box: Far) -> None:
    await box.start(shell("echo up; sleep LONG"))
    assert await box.first_line() == b"up"
    assert await eventually(lambda: not next(iter(box.fake.boxes.values())).commands)
    await asleep()


def test_without_the_sdk_it_says_what_to_install(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "e2b", None)
    provider = e2b(FakeE2b(root), options(root / "ours"))
    with pytest.raises(Unsupported, match="pip install") as refusal:
        asyncio.run(provider.list())
    assert refusal.value.code == "NO_E2B_SDK"


def test_the_providers_are_there_without_their_sdks_being_loaded() -> None:
    code = "import sys, trunkline_sandbox.wiring; sys.exit(bool({'daytona', 'e2b'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
