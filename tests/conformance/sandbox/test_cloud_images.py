"""Images of the providers in clouds, by the real SDKs before emulated clouds that fail in every way we know of: built once, told whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.sandbox.agents import SMALL
from tests.conformance.sandbox.conftest import CLOUDS, Far, at_daytona, at_e2b
from trunkline.contracts.errors import Denied, DomainError, Invalid, Unavailable
from trunkline.contracts.ids import SandboxId
from trunkline_sandbox.adapters.providers.remote.image_cloud import called
from trunkline_sandbox.adapters.providers.remote.images import KEPT, CloudImages
from trunkline_sandbox.handlers.image_host import IMAGE, IMAGE_GONE, ImageHost
from trunkline_sandbox.model.image import Recipe
from trunkline_sandbox.ports import SandboxSpec

FIRST = "omni-snapshot-2026-11-22T04-00-00-000Z"
THERE = called("trunkline", FIRST)
PLAIN = Recipe.of("FROM python:3.12\nRUN echo made > made && echo I am built")
IMPATIENT = {"call_s": 1.2, "boot_s": 2.0, "pause_s": 0.02, "move_s": 3.0, "away_s": 10.0}


@pytest.fixture(params=CLOUDS)
async def box(root: Path, request: pytest.FixtureRequest) -> AsyncIterator[Far]:
    async with CLOUDS[request.param](root) as far:
        yield far


@pytest.fixture(params=CLOUDS)
async def hasty(root: Path, request: pytest.FixtureRequest) -> AsyncIterator[Far]:
    """One that waits for its cloud no longer than a test should."""
    async with CLOUDS[request.param](root, **IMPATIENT) as far:
        yield far


@asynccontextmanager
async def beside(box: Far, context: Path, key: str = "", **given: Any) -> AsyncIterator[CloudImages]:
    """Another service before the same cloud."""
    provider = box.beside("theirs", key=key, **given)
    host = provider.images(context)
    assert host is not None
    yield host
    await provider.close()


def images(box: Far, context: Path) -> CloudImages:
    found = box.provider.images(context)
    assert isinstance(found, ImageHost) and isinstance(found, CloudImages) and box.provider.ability.snapshots
    return found


async def built(host: CloudImages, recipe: Recipe = PLAIN, name: str = FIRST) -> list[str]:
    async with asyncio.timeout(30), aclosing(host.build(recipe, name)) as lines:  # type: ignore[type-var]
        return [line async for line in lines]


async def begun(box: Far, name: str = FIRST, id: str = "box-1") -> Path:
    """The home of a sandbox that begins with an image."""
    await box.provider.ensure(SandboxSpec(SandboxId(id), SMALL, {"sandbox": id, IMAGE: name}))
    machine = next(machine for machine in box.fake.boxes.values() if id in str(machine.body))
    return Path(machine.place.home)


async def test_what_is_carried_to_a_cloud_is_what_is_copied_and_nothing_else(box: Far, tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "greet").write_text("hello")
    (tmp_path / "tools" / "secret.key").write_text("TOP-SECRET")
    (tmp_path / "beside").write_text("NOBODY-COPIES-IT")
    (tmp_path / ".dockerignore").write_text("**/*.key\n")
    host = images(box, tmp_path)
    said = await built(host, Recipe.of("FROM python:3.12\nCOPY tools/ ./\nRUN echo made > made"))
    assert said[0] == f"building {THERE} at {box.provider._cloud.vendor.name}" and said[-1] == f"{THERE} is built"
    carried = b"".join(box.fake.storage.files.values())
    assert carried and b"TOP-SECRET" not in carried and b"NOBODY-COPIES-IT" not in carried
    assert not list((box.root / "ours" / "images").iterdir())
    home = await begun(box)
    assert (home / "made").read_text() == "made\n" and (home / "greet").read_text() == "hello"
    assert not (await begun(box, "", "box-2") / "made").exists()


@pytest.mark.parametrize("kind", ["500", "429", "cut", "lost", "timeout"])
async def test_whatever_becomes_of_the_call_that_builds_it_is_built_once(hasty: Far, tmp_path: Path, kind: str) -> None:
    hasty.fake.faults.arm("build", kind)
    said = await built(images(hasty, tmp_path))
    assert "I am built" in said and hasty.fake.builds.begun == [THERE] and hasty.fake.faults.struck == [("build", kind)]


@pytest.mark.parametrize(("call", "kind"), [("begin", "500"), ("begin", "lost"), ("files", "cut"), ("lay-part", "500")])
async def test_a_template_that_was_made_and_not_set_going_is_built_once(root: Path, tmp_path: Path, call: str, kind: str) -> None:
    (tmp_path / "a.txt").write_text("a")
    async with at_e2b(root) as box:
        box.fake.faults.arm(call, kind)
        said = await built(images(box, tmp_path), Recipe.of("FROM python:3.12\nCOPY a.txt b.txt\nRUN cat b.txt"))
        assert "a" in said and box.fake.builds.begun == [THERE] and box.fake.faults.struck == [(call, kind)]


@pytest.mark.parametrize(("call", "kind"), [("push-access", "500"), ("push-access", "cut"), ("lay-part", "500")])
async def test_what_a_snapshot_copies_is_carried_again_when_that_failed(root: Path, tmp_path: Path, call: str, kind: str) -> None:
    (tmp_path / "a.txt").write_text("a")
    async with at_daytona(root) as box:
        box.fake.faults.arm(call, kind)
        said = await built(images(box, tmp_path), Recipe.of("FROM python:3.12\nCOPY a.txt b.txt\nRUN cat b.txt"))
        assert "a" in said and box.fake.builds.begun == [THERE] and box.fake.faults.struck == [(call, kind)]


async def test_a_cloud_that_fails_while_it_builds_is_waited_for(box: Far, tmp_path: Path) -> None:
    box.fake.builds.build_s = 0.3
    said: list[str] = []
    async for line in images(box, tmp_path).build(PLAIN, FIRST):
        said.append(line)
        if line.startswith("building"):
            for call, kind, times in (("image", "500", 2), ("image", "cut", 1), ("build-log", "500", 1)):
                box.fake.faults.arm(call, kind, times)
    assert {("image", "500"), ("image", "cut"), ("build-log", "500")} == set(box.fake.faults.struck)
    assert said.count("I am built") == 1 and box.fake.builds.begun == [THERE]


async def test_a_build_that_fails_says_why_and_whoever_repeats_it_hears_the_same(box: Far, tmp_path: Path) -> None:
    host, heard = images(box, tmp_path), list[list[str]]()
    for _ in range(2):
        lines: list[str] = []
        with pytest.raises(Invalid, match="echo so not && exit 3") as failed:
            async for line in host.build(Recipe.of("FROM python:3.12\nRUN echo so not && exit 3"), FIRST):
                lines.append(line)
        heard.append(lines)
    assert failed.value.code == "DOCKERFILE_STEP_FAILED" and heard[0] == heard[1] and heard[0][-1] == "so not"
    assert box.fake.builds.begun == [THERE] and not await host.has(FIRST)
    await host.discard(FIRST)
    await host.discard(FIRST)
    assert not box.fake.builds.images


async def test_one_that_its_cloud_gives_up_says_so(box: Far, tmp_path: Path) -> None:
    box.fake.faults.arm("build", "fails")
    with pytest.raises(Invalid, match="the builder broke"):
        await built(images(box, tmp_path))


async def test_one_that_never_becomes_ready_is_left_to_the_deadline_of_its_build(box: Far, tmp_path: Path) -> None:
    box.fake.faults.arm("build", "never_ready")
    host = images(box, tmp_path)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await built(host)
    assert not await host.has(FIRST)
    await host.discard(FIRST)
    assert not box.fake.builds.images


async def test_one_that_vanishes_is_not_waited_for(box: Far, tmp_path: Path) -> None:
    box.fake.builds.build_s = 5.0
    with pytest.raises(Unavailable) as vanished:
        async for line in images(box, tmp_path).build(PLAIN, FIRST):
            if line.startswith("building"):
                box.fake.faults.arm("image", "vanish")
    assert vanished.value.code == box.code("NOT_FOUND") and not box.fake.builds.images


async def test_of_one_that_its_cloud_lies_about_no_sandbox_can_be_made_and_it_says_why(box: Far, tmp_path: Path) -> None:
    box.fake.faults.arm("build", "lies")
    host = images(box, tmp_path)
    await built(host)
    assert await host.has(FIRST)
    with pytest.raises(Unavailable) as gone:
        await begun(box)
    assert gone.value.code == IMAGE_GONE and not box.fake.boxes and box.fake.seen.count("create") == 1


async def test_a_cloud_that_is_away_is_said_so(hasty: Far, tmp_path: Path) -> None:
    host = images(hasty, tmp_path)
    hasty.fake.faults.arm("image", "500", times=1000)
    for call in (host.has(FIRST), built(host)):
        with pytest.raises(Unavailable) as away:
            await call
        assert away.value.code == hasty.code("AWAY")
    hasty.fake.faults.armed.clear()
    async with beside(hasty, tmp_path, key="k_wrong") as stranger:
        for call in (stranger.has(FIRST), built(stranger)):
            with pytest.raises(Denied):
                await call


async def test_only_the_newest_of_our_fleet_are_kept_and_one_that_cannot_go_keeps_no_other(box: Far, tmp_path: Path) -> None:
    host = images(box, tmp_path)
    async with beside(box, tmp_path, fleet="another") as theirs:
        await built(theirs)
    box.fake.page = 2
    with pytest.raises(DomainError):
        await built(host, Recipe.of("FROM python:3.12\nRUN false"))
    failed, first, second, third = [called("trunkline", f"omni-snapshot-2026-11-22T04-00-00-00{at}Z") for at in range(4)]
    assert failed == THERE and KEPT == 2
    for at in (1, 2):
        box.fake.faults.arm("images", "500", times=1)
        await built(host, name=f"omni-snapshot-2026-11-22T04-00-00-00{at}Z")
    box.fake.faults.arm("drop", "500", times=1)
    await built(host, name="omni-snapshot-2026-11-22T04-00-00-003Z")
    kept = set(box.fake.builds.images)
    assert {called("another", FIRST), second, third} < kept and len(kept & {failed, first}) == 1  # they go in no order: one resisted


async def test_a_snapshot_that_daytona_put_away_is_woken(root: Path, tmp_path: Path) -> None:
    async with at_daytona(root) as box:
        host = images(box, tmp_path)
        await built(host)
        box.fake.builds.images[THERE].state = "asleep"
        box.fake.faults.arm("wake", "500")
        assert await host.has(FIRST) and box.fake.builds.images[THERE].state == "ready"


async def test_what_two_build_at_once_is_built_once(root: Path, tmp_path: Path) -> None:
    async with at_daytona(root) as box:
        async with beside(box, tmp_path) as other, asyncio.TaskGroup() as group:
            both = [group.create_task(built(host)) for host in (images(box, tmp_path), other)]
        assert [task.result()[-1] for task in both] == [f"{THERE} is built"] * 2 and box.fake.builds.begun == [THERE]


async def test_an_sdk_that_forgets_a_cancel_is_ended_all_the_same(box: Far) -> None:
    async def answers_late() -> None:
        """As `asyncio.wait_for` does up to Python 3.11 when its answer comes at the moment of the cancel."""
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await box.provider._cloud.asked("wait", 60, answers_late)
