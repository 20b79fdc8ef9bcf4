"""A provider in a cloud before an emulation of it that fails in every way we know of: one sandbox, no line lost, nothing left behind."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.sandbox.agents import LONG, SMALL, Box, gone, shell
from tests.conformance.sandbox.conftest import CLOUDS, Far
from trunkline.contracts.errors import Denied, DomainError, Exhausted, NotFound, Unavailable, Unsupported
from trunkline.contracts.ids import SandboxId
from trunkline_sandbox.adapters.providers.remote.frames import LOST
from trunkline_sandbox.handlers.named_host import NAMED, NamedHost
from trunkline_sandbox.model import Entry
from trunkline_sandbox.ports import Exit, Launch, Line, SandboxSpec

IMPATIENT = {"call_s": 1.2, "boot_s": 2.0, "pause_s": 0.02, "porter_s": 3.0, "move_s": 3.0}


@pytest.fixture(params=CLOUDS)
def cloud(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=CLOUDS)
async def box(root: Path, request: pytest.FixtureRequest) -> AsyncIterator[Far]:
    async with CLOUDS[request.param](root) as far:
        yield far


@pytest.fixture(params=CLOUDS)
async def hasty(root: Path, request: pytest.FixtureRequest) -> AsyncIterator[Far]:
    """One that waits for its cloud no longer than a test should."""
    async with CLOUDS[request.param](root, **IMPATIENT) as far:
        yield far


@pytest.mark.parametrize("kind", ["500", "429", "cut", "lost", "timeout"])
async def test_whatever_becomes_of_the_call_that_makes_it_there_is_one_sandbox(hasty: Far, kind: str) -> None:
    hasty.fake.faults.arm("create", kind)
    async with asyncio.timeout(20):
        await hasty.ensure()
    assert len(hasty.fake.boxes) == 1 and [one.id for one in await hasty.provider.list()] == [hasty.id]
    assert (await hasty.run(shell("echo here"))).out == [b"here"]


async def test_one_that_never_becomes_ready_is_deleted_and_said_so(hasty: Far) -> None:
    hasty.fake.faults.arm("create", "never_ready")
    with pytest.raises(Unavailable) as refusal:
        await hasty.ensure()
    assert refusal.value.code == "SANDBOX_NOT_READY" and not hasty.fake.boxes


async def test_a_cloud_that_is_away_is_said_so_and_leaves_nothing(hasty: Far) -> None:
    hasty.fake.faults.arm("create", "500", times=100)
    with pytest.raises(Unavailable) as refusal:
        await hasty.ensure()
    assert refusal.value.code == hasty.code("AWAY") and hasty.fake.seen.count("create") == 4


async def test_a_cloud_that_is_busy_says_when_to_come_again(hasty: Far) -> None:
    hasty.fake.faults.arm("create", "429", times=100)
    with pytest.raises(Exhausted) as refusal:
        await hasty.ensure()
    assert refusal.value.code == hasty.code("BUSY") and refusal.value.details["retry_after"] == 1


async def test_a_wrong_key_is_named_and_not_told(box: Far) -> None:
    stranger = box.beside("theirs", key="k_wrong", pause_s=0.01)
    with pytest.raises(Denied, match=box.code("API_KEY")) as refusal:
        await stranger.ensure(SandboxSpec(SandboxId("box-1"), SMALL, {}))
    await stranger.close()
    assert refusal.value.code == box.code("DENIED") and "k_wrong" not in str(refusal.value)


async def test_many_who_want_the_same_sandbox_get_one(box: Far) -> None:
    other = box.beside("other", pause_s=0.05)
    async with asyncio.TaskGroup() as group:
        for provider in (box.provider, other) * 3:
            group.create_task(provider.ensure(SandboxSpec(box.id, SMALL, {"task": "x"})))
    await other.close()
    assert len(box.fake.boxes) == 1


async def test_what_was_made_twice_is_one_again(box: Far) -> None:
    await box.ensure()
    first = next(iter(box.fake.boxes.values()))
    box.fake.twin(first)
    assert [one.id for one in await box.provider.list()] == [box.id]
    await box.ensure()
    assert list(box.fake.boxes) == [first.id]


async def test_what_is_not_ours_is_neither_listed_nor_touched(box: Far) -> None:
    theirs = box.fake.plant({"trunkline.fleet": "another", "trunkline.sandbox": "box-1"}, "theirs")
    nobodys = box.fake.plant({"task": "x"}, "trunkline-box-1x")
    await box.ensure()
    await box.provider.remove(box.id)
    assert set(box.fake.boxes) == {theirs.id, nobodys.id} and await box.provider.list() == []


async def test_faulty_makings_leave_nothing_behind_a_reconciling_pass(hasty: Far) -> None:
    dice = random.Random(7)

    async def made(id: str) -> None:
        call, kind = dice.choice(("create", "create", "list", "get")), dice.choice(("500", "429", "cut", "lost"))
        hasty.fake.faults.arm(call, kind, times=dice.choice((1, 3)))
        with suppress(DomainError):
            await hasty.provider._machines.ensure(SandboxSpec(SandboxId(id), SMALL, {}))

    for turn in range(3):
        async with asyncio.TaskGroup() as group:
            for at in range(10):
                group.create_task(made(f"b-{turn}-{at}"))
    assert hasty.fake.faults.struck and hasty.fake.boxes
    hasty.fake.faults.armed.clear()
    for one in await hasty.provider.list():
        await hasty.provider.remove(one.id)
    assert not hasty.fake.boxes


async def test_many_pages_of_sandboxes_are_all_listed(box: Far) -> None:
    box.fake.page = 3
    for at in range(8):
        box.fake.plant({"trunkline.fleet": "trunkline", "trunkline.sandbox": f"s-{at}", "task": "x"}, f"n{at}")
    assert sorted(one.id for one in await box.provider.list()) == [f"s-{at}" for at in range(8)]


@pytest.mark.parametrize(("call", "kind"), [("upload", "429"), ("upload", "cut"), ("exec", "500"), ("exec", "lost"), ("exec", "timeout")])
async def test_a_start_whose_call_fails_is_one_program(hasty: Far, call: str, kind: str) -> None:
    await hasty.ensure()
    hasty.fake.faults.arm(call, kind)
    await hasty.provider.start(hasty.id, shell("echo run >> runs; cat runs"))
    assert (await hasty.hear()).out == [b"run"] and hasty.fake.faults.struck == [(call, kind)]


async def test_an_entry_whose_reply_is_lost_is_read_once(box: Far) -> None:
    await box.start(replace(shell("cat"), keep_stdin=True))
    for call in ("exec", "upload"):
        box.fake.faults.arm(call, "lost")
        await box.provider.tell(box.id, "k", Entry(call, f"{call}\n".encode()))
    await box.provider.tell(box.id, "k", Entry("end", close=True))
    assert (await box.hear()).out == [b"exec", b"upload"] and len(box.fake.faults.struck) == 2


async def test_no_line_is_lost_when_logs_break_again_and_again(box: Far) -> None:
    box.fake.faults.arm("logs", "cut", times=3)
    heard = await box.run(shell("for i in $(seq 40); do echo $i; sleep 0.03; done; exit 5"))
    assert [line.number for line in heard.lines] == list(range(1, 41)) and heard.exit == Exit(5)
    assert box.fake.faults.struck == [("logs", "cut")] * 3


async def test_without_any_log_the_spool_is_asked_for(box: Far) -> None:
    box.fake.faults.arm("logs", "500", times=1000)
    heard = await box.run(shell("for i in $(seq 20); do echo $i; sleep 0.02; done; exit 5"))
    assert heard.out == [str(i).encode() for i in range(1, 21)] and heard.exit == Exit(5)


async def test_a_log_that_falls_silent_is_left(root: Path, cloud: str) -> None:
    async with CLOUDS[cloud](root, silence_s=0.3) as box:
        box.fake.faults.arm("logs", "timeout")
        heard = await box.run(shell("sleep 0.8; echo late"))
    assert heard.out == [b"late"] and box.fake.faults.struck == [("logs", "timeout")]


async def test_another_service_hears_every_line_and_the_end(box: Far, root: Path) -> None:
    await box.start(replace(shell("for i in $(seq 50); do echo $i; sleep 0.01; done; read x; echo got $x; exit 7"), keep_stdin=True))
    assert await box.first_line() == b"1"
    second = box.beside("second")
    await second.start(box.id, shell("echo another"))
    await second.tell(box.id, "k", Entry("word", b"word\n"))
    heard = await Box(second, root).hear()
    await second.close()
    assert heard.out == [*(str(i).encode() for i in range(1, 51)), b"got word"] and heard.exit == Exit(7)


async def test_a_sandbox_that_vanishes_is_a_run_that_is_lost(box: Far) -> None:
    await box.start(shell("echo up; sleep LONG"))
    heard: list[Line | Exit] = []
    async with asyncio.timeout(20):
        async for one in box.provider.output(box.id, "k"):
            heard.append(one)
            box.fake.faults.arm("exec", "vanish")
            for machine in list(box.fake.boxes.values()):
                box.fake.remove(machine)
    assert heard == [Line(1, b"up"), LOST] and await gone(LONG)
    with pytest.raises(NotFound):
        await box.provider.start(box.id, shell("true"))
    await box.provider.stop(box.id)
    await box.provider.remove(box.id)


async def test_a_sandbox_of_which_its_cloud_lies_is_unavailable_and_can_be_removed(hasty: Far) -> None:
    await hasty.ensure()
    hasty.fake.faults.arm("exec", "lies")
    with pytest.raises(DomainError) as refusal:
        await hasty.provider.start(hasty.id, shell("true"))
    assert refusal.value.code in ("DAYTONA_REFUSED", "SANDBOX_NOT_READY") and "not" in refusal.value.message
    await hasty.provider.remove(hasty.id)
    assert not hasty.fake.boxes


async def test_a_named_sandbox_rests_and_is_roused_with_its_files(box: Far) -> None:
    await box.run(shell("echo kept > file"))
    await box.provider.rest(box.id)
    await box.provider.rest(box.id)
    resting = await box.provider.look(box.id)
    await box.provider.stop(box.id)  # wakes nobody
    assert resting is not None and resting.state == "stopped" and next(iter(box.fake.boxes.values())).state in ("stopped", "paused")
    await box.provider.rouse(box.id)
    assert [(one.id, one.state) for one in await box.provider.seen()] == [(box.id, "ready")]
    await box.provider.start(box.id, shell("cat file", "k2"))
    assert (await box.hear("k2")).out == [b"kept"] and isinstance(box.provider, NamedHost)
    with pytest.raises(NotFound):
        await box.provider.rest(SandboxId("none"))
    assert await box.provider.look(SandboxId("none")) is None


async def test_a_twin_that_turns_up_late_takes_no_named_sandbox_away_however_old_it_is(box: Far) -> None:
    await box.ensure(labels={NAMED: "sbx-1", "tenant": "t"})
    first = next(iter(box.fake.boxes.values()))
    twin = box.fake.twin(first)
    made = "created" if hasattr(first, "created") else "began"
    for box_, at in ((first, getattr(twin, made)), (twin, getattr(first, made))):
        setattr(box_, made, at)
    seen = await box.provider.look(box.id)
    assert seen is not None and seen.ref == first.id
    await box.provider.rest(box.id)
    await box.provider.rouse(box.id)
    assert set(box.fake.boxes) == {first.id, twin.id}  # the reaper knows which one was noted
    await box.provider.remove(box.id)
    assert not box.fake.boxes


async def test_exactly_the_twin_that_was_seen_is_dropped(box: Far) -> None:
    await box.ensure()
    first = next(iter(box.fake.boxes.values()))
    twin = box.fake.twin(first)
    seen = {one.ref: one for one in await box.provider.seen()}
    assert set(seen) == {first.id, twin.id}
    await box.provider.drop(seen[twin.id])
    await box.provider.drop(seen[twin.id])
    assert list(box.fake.boxes) == [first.id]


async def test_unix_sockets_and_single_ports_are_refused_before_anything_is_made(box: Far, tmp_path: Path) -> None:
    assert not box.provider.ability.unix_sockets and box.provider.ability.egress_policy
    with pytest.raises(Unsupported) as port:
        await box.ensure(egress=("example.com:22",))
    for launch in (
        replace(shell("true"), sockets={"door": tmp_path}),
        replace(shell("true"), forwards={8000: "/run/host/door/x"}),
    ):
        with pytest.raises(Unsupported) as refusal:
            await box.provider.start(box.id, launch)
        assert refusal.value.code.startswith("PROVIDER_CANNOT_")
    assert port.value.code == "PROVIDER_CANNOT_EGRESS_PORT" and not box.fake.seen


async def test_a_program_too_large_to_be_carried_is_looked_for_inside(box: Far, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with open(large, "wb") as file:
        file.truncate(65 << 20)
    await box.ensure()
    with pytest.raises(Unsupported, match="/opt/agent/bin/large") as refusal:
        await box.provider.start(box.id, replace(shell("true"), tools={"/opt/agent/bin/large": large}))
    assert refusal.value.code == "PROVIDER_CANNOT_LARGE_TOOL" and box.fake.seen[-1] == "exec"
    room = await box.provider._rooms._enter(box.id)
    assert await room.absent(["/bin/sh", "/nowhere", "/etc/passwd"]) == ["/nowhere", "/etc/passwd"]


async def test_a_program_that_is_carried_along_is_run_by_its_path(box: Far, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.write_text("#!/bin/sh\necho small\n")
    heard = await box.run(Launch("k", ("/opt/agent/small",), {}, tools={"/opt/agent/small": small}))
    assert heard.out == [b"small"]
