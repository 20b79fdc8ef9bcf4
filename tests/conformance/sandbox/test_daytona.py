"""The Daytona provider before an emulated Daytona that fails in every way we know of: one sandbox, no line lost, nothing left behind."""

from __future__ import annotations

import asyncio
import gzip
import io
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.sandbox.agents import LONG, SMALL, Box, alive, gone, shell
from tests.conformance.sandbox.conftest import at_daytona
from trunkline.contracts.errors import Denied, DomainError, Exhausted, Invalid, NotFound, Unavailable, Unsupported
from trunkline.contracts.ids import SandboxId
from trunkline.testing.fake_daytona import KEY, FakeDaytona
from trunkline_sandbox.adapters.providers.daytona import DaytonaOptions, DaytonaProvider
from trunkline_sandbox.adapters.providers.daytona.frames import LOST, Frames
from trunkline_sandbox.adapters.providers.daytona.inside import parcel
from trunkline_sandbox.adapters.providers.daytona.states import meaning
from trunkline_sandbox.handlers.named_host import NamedHost
from trunkline_sandbox.model import Entry
from trunkline_sandbox.ports import Exit, Line, SandboxSpec

IMPATIENT = {"call_s": 0.6, "boot_s": 1.0, "pause_s": 0.02, "porter_s": 1.0, "move_s": 1.5}


class Far(Box):
    """A sandbox at the emulated Daytona, which the test may trouble."""

    fake: FakeDaytona


def far(provider: DaytonaProvider, root: Path, fake: FakeDaytona) -> Far:
    box = Far(provider, root)
    box.fake = fake
    return box


@pytest.fixture
async def box(root: Path) -> AsyncIterator[Far]:
    async with at_daytona(root) as (provider, fake):
        yield far(provider, root, fake)


@pytest.fixture
async def hasty(root: Path) -> AsyncIterator[Far]:
    """One that waits for Daytona no longer than a test should."""
    async with at_daytona(root, **IMPATIENT) as (provider, fake):
        yield far(provider, root, fake)


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


async def test_a_daytona_that_is_away_is_said_so_and_leaves_nothing(hasty: Far) -> None:
    hasty.fake.faults.arm("create", "500", times=100)
    with pytest.raises(Unavailable) as refusal:
        await hasty.ensure()
    assert refusal.value.code == "DAYTONA_AWAY" and hasty.fake.seen.count("create") == 4


async def test_a_daytona_that_is_busy_says_when_to_come_again(hasty: Far) -> None:
    hasty.fake.faults.arm("create", "429", times=100)
    with pytest.raises(Exhausted) as refusal:
        await hasty.ensure()
    assert refusal.value.code == "DAYTONA_BUSY" and refusal.value.details["retry_after"] == 1


async def test_a_wrong_key_is_named(root: Path) -> None:
    async with at_daytona(root) as (_, fake):
        stranger = DaytonaProvider(DaytonaOptions(root / "theirs", "dtn_wrong", fake.url, pause_s=0.01))
        with pytest.raises(Denied, match="DAYTONA_API_KEY") as refusal:
            await stranger.ensure(SandboxSpec(SandboxId("box-1"), SMALL, {}))
        await stranger.close()
    assert refusal.value.code == "DAYTONA_DENIED" and "dtn_wrong" not in str(refusal.value)


async def test_many_who_want_the_same_sandbox_get_one(box: Far, root: Path) -> None:
    other = DaytonaProvider(DaytonaOptions(root / "other", KEY, box.fake.url, pause_s=0.05))
    async with asyncio.TaskGroup() as group:
        for provider in (box.provider, other) * 3:
            group.create_task(provider.ensure(SandboxSpec(box.id, SMALL, {"task": "x"})))
    await other.close()
    assert len(box.fake.boxes) == 1


async def test_what_was_made_twice_is_one_again(box: Far) -> None:
    await box.ensure()
    first = next(iter(box.fake.boxes.values()))
    box.fake.make({**first.body, "name": "a-twin"}, 0.0)
    assert [one.id for one in await box.provider.list()] == [box.id]
    await box.ensure()
    assert list(box.fake.boxes) == [first.id]


async def test_what_is_not_ours_is_neither_listed_nor_touched(box: Far) -> None:
    box.fake.make({"name": "theirs", "labels": {"trunkline.fleet": "another", "trunkline.sandbox": "box-1"}}, 0.0)
    box.fake.make({"name": "trunkline-box-1x", "labels": {"task": "x"}}, 0.0)
    await box.ensure()
    await box.provider.remove(box.id)
    assert sorted(one.name for one in box.fake.boxes.values()) == ["theirs", "trunkline-box-1x"] and await box.provider.list() == []


async def test_faulty_makings_leave_nothing_behind_a_reconciling_pass(hasty: Far) -> None:
    dice = random.Random(7)

    async def made(id: str) -> None:
        call, kind = dice.choice(("create", "create", "list", "get")), dice.choice(("500", "429", "cut", "lost"))
        hasty.fake.faults.arm(call, kind, times=dice.choice((1, 3)))
        with suppress(DomainError):
            await hasty.provider._machines.ensure(SandboxSpec(SandboxId(id), SMALL, {}))

    for turn in range(5):
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
        box.fake.make({"name": f"n{at}", "labels": {"trunkline.fleet": "trunkline", "trunkline.sandbox": f"s-{at}", "task": "x"}}, 0.0)
    assert sorted(one.id for one in await box.provider.list()) == [f"s-{at}" for at in range(8)]


async def test_what_is_asked_of_daytona_is_what_was_wanted(box: Far) -> None:
    await box.ensure(egress=("example.com", "example.org"), labels={"task": "x"})
    body = next(iter(box.fake.boxes.values())).body
    assert body["autoStopInterval"] == 0 and isinstance(body["ttlMinutes"], int) and body["ttlMinutes"] > 60
    assert body["domainAllowList"] == "example.com,example.org" and body.get("networkBlockAll") is None
    await box.other("shut").ensure()
    shut = next(one.body for one in box.fake.boxes.values() if one.name == "trunkline-shut")
    assert shut["networkBlockAll"] is True and dict((await box.provider.list())[0].labels) == {"task": "x"}


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
    heard = await box.run(shell("for i in $(seq 60); do echo $i; sleep 0.03; done; exit 5"))
    assert [line.number for line in heard.lines] == list(range(1, 61)) and heard.exit == Exit(5)
    assert box.fake.faults.struck == [("logs", "cut")] * 3


async def test_without_any_log_the_spool_is_asked_for(box: Far) -> None:
    for call in ("logs", "session"):
        box.fake.faults.arm(call, "500", times=1000)
    heard = await box.run(shell("for i in $(seq 20); do echo $i; sleep 0.02; done; exit 5"))
    assert heard.out == [str(i).encode() for i in range(1, 21)] and heard.exit == Exit(5)


async def test_a_log_that_falls_silent_is_left(root: Path) -> None:
    async with at_daytona(root, silence_s=0.3) as (provider, fake):
        fake.faults.arm("logs", "timeout")
        heard = await far(provider, root, fake).run(shell("sleep 0.8; echo late"))
    assert heard.out == [b"late"] and fake.faults.struck == [("logs", "timeout")]


async def test_another_service_hears_every_line_and_the_end(box: Far, root: Path) -> None:
    await box.start(replace(shell("for i in $(seq 50); do echo $i; sleep 0.01; done; read x; echo got $x; exit 7"), keep_stdin=True))
    assert await box.first_line() == b"1"
    second = DaytonaProvider(DaytonaOptions(root / "second", KEY, box.fake.url, pause_s=0.02))
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
                box.fake.boxes.pop(machine.id).remove()
    assert heard == [Line(1, b"up"), LOST] and await gone(LONG)
    with pytest.raises(NotFound):
        await box.provider.start(box.id, shell("true"))
    await box.provider.stop(box.id)
    await box.provider.remove(box.id)


async def test_a_sandbox_that_was_stopped_by_daytona_is_started_and_its_run_is_lost(box: Far) -> None:
    await box.run(shell("echo kept > file"))
    await box.provider.start(box.id, shell("echo up; sleep LONG", "k2"))
    assert await box.first_line("k2") == b"up"
    box.fake.halt(next(iter(box.fake.boxes.values())))
    heard = await box.hear("k2")
    assert heard.out == [b"up"] and heard.exit == LOST
    await box.provider.start(box.id, shell("cat file", "k3"))
    assert (await box.hear("k3")).out == [b"kept"]


async def test_a_sandbox_of_which_daytona_lies_is_unavailable_and_can_be_removed(hasty: Far) -> None:
    await hasty.ensure()
    hasty.fake.faults.arm("exec", "lies")
    with pytest.raises(DomainError) as refusal:
        await hasty.provider.start(hasty.id, shell("true"))
    assert refusal.value.code == "DAYTONA_REFUSED" and "not running" in refusal.value.message
    await hasty.provider.remove(hasty.id)
    assert not hasty.fake.boxes


async def test_one_that_broke_is_made_anew(box: Far) -> None:
    await box.ensure()
    next(iter(box.fake.boxes.values())).state = "error"
    box.provider._rooms.forget(box.id)
    await box.ensure()
    assert [one.state for one in box.fake.boxes.values()] == ["started"]


async def test_a_named_sandbox_rests_and_is_roused_with_its_files(box: Far) -> None:
    await box.run(shell("echo kept > file"))
    await box.provider.rest(box.id)
    await box.provider.rest(box.id)
    resting = await box.provider.look(box.id)
    await box.provider.stop(box.id)  # wakes nobody
    assert resting is not None and resting.state == "stopped" and next(iter(box.fake.boxes.values())).state == "stopped"
    await box.provider.rouse(box.id)
    assert [(one.id, one.state) for one in await box.provider.seen()] == [(box.id, "ready")]
    await box.provider.start(box.id, shell("cat file", "k2"))
    assert (await box.hear("k2")).out == [b"kept"] and isinstance(box.provider, NamedHost)
    with pytest.raises(NotFound):
        await box.provider.rest(SandboxId("none"))
    assert await box.provider.look(SandboxId("none")) is None


async def test_exactly_the_twin_that_was_seen_is_dropped(box: Far) -> None:
    await box.ensure()
    first = next(iter(box.fake.boxes.values()))
    twin = box.fake.make({**first.body, "name": "a-twin"}, 0.0)
    seen = {one.ref: one for one in await box.provider.seen()}
    assert set(seen) == {first.id, twin.id}
    await box.provider.drop(seen[twin.id])
    await box.provider.drop(seen[twin.id])
    assert list(box.fake.boxes) == [first.id]


async def test_an_end_on_record_stays_what_it_was(box: Far) -> None:
    assert (await box.run(shell("exit 9"))).exit == Exit(9)
    await box.provider.stop(box.id)
    assert (await box.hear()).exit == Exit(9)


async def test_a_runner_that_was_killed_leaves_a_lost_run_and_nobody(box: Far) -> None:
    await box.start(shell("echo up; sleep LONG"))
    assert await box.first_line() == b"up"
    shepherd = next(one for one in alive(LONG) if one.name() == "sleep").parents()
    next(one for one in shepherd if any("runner-" in word for word in one.cmdline())).kill()
    assert (await box.hear()).exit == LOST and await gone(LONG)


async def test_unix_sockets_single_ports_and_large_tools_are_refused_before_anything_is_made(box: Far, tmp_path: Path) -> None:
    assert not box.provider.ability.unix_sockets and box.provider.ability.egress_policy
    with pytest.raises(Unsupported) as port:
        await box.ensure(egress=("example.com:22",))
    large = tmp_path / "large"
    with open(large, "wb") as file:
        file.truncate(65 << 20)
    for launch in (
        replace(shell("true"), sockets={"door": tmp_path}),
        replace(shell("true"), forwards={8000: "/run/host/door/x"}),
        replace(shell("true"), tools={"/opt/agent/bin/large": large}),
    ):
        with pytest.raises(Unsupported) as refusal:
            await box.provider.start(box.id, launch)
        assert refusal.value.code.startswith("PROVIDER_CANNOT_")
    assert port.value.code == "PROVIDER_CANNOT_EGRESS_PORT" and not box.fake.seen


async def test_a_workspace_that_leads_out_is_refused_and_nothing_is_written_outside(box: Far, tmp_path: Path) -> None:
    await box.run(shell("true"))
    machine = next(iter(box.fake.boxes.values()))
    porter = next((machine.home / ".trunkline").glob("porter-*.pyc"))
    evil = io.BytesIO()
    parcel.put(evil, parcel.LINK, b"out", str(tmp_path).encode())
    parcel.put(evil, parcel.FILE, b"out/x", b"written")
    parcel.close(evil)
    (machine.home / "evil").write_bytes(gzip.compress(evil.getvalue()))
    code = 'import shutil,sys; shutil.copy("%s", "%s/"+sys.argv[2]); print(\'trunkline: {"size": 1}\')'
    (tmp_path.parent / "evil.py").write_text(code % (machine.home / "evil", machine.home / ".trunkline" / "desk"))
    compiling = "import py_compile, sys; py_compile.compile(sys.argv[1], sys.argv[2], doraise=True)"
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    subprocess.run(["python3", "-c", compiling, tmp_path.parent / "evil.py", porter], check=True, env=env)
    with pytest.raises(Invalid) as refusal:
        await box.provider.take(box.id)
    assert refusal.value.code == "BAD_WORKSPACE" and not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [b"../x", b"/x", b"a//x", b"", b"a/../../x", b"a\0b", b"."])
def test_a_parcel_makes_nothing_outside_its_folder(tmp_path: Path, name: bytes) -> None:
    (tmp_path / "in").mkdir()
    bad = io.BytesIO()
    parcel.put(bad, parcel.FILE, name, b"x")
    parcel.close(bad)
    with pytest.raises(parcel.BadParcel):
        parcel.unpack(io.BytesIO(bad.getvalue()), str(tmp_path / "in"), 1000)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("bad", [b"", b"Z" + bytes(15), parcel.ENTRY.pack(b"F", 1, 1 << 62) + b"x", parcel.ENTRY.pack(b"F", 1 << 31, 0)])
def test_what_is_no_parcel_is_refused(tmp_path: Path, bad: bytes) -> None:
    with pytest.raises(parcel.BadParcel):
        parcel.unpack(io.BytesIO(bad), str(tmp_path), 1 << 20)


@pytest.mark.parametrize(
    "spool",
    [b"?" * 64, b"X\0\0\0" + (99).to_bytes(4, "little") + bytes(16) + b"x" * 99, b"O\0\0\0\xff\xff\xff\xff" + bytes(16),
     b"X\0\0\0" + (2).to_bytes(4, "little") + bytes(16) + b"{}"],
)  # fmt: skip
def test_a_spool_that_was_tampered_with_is_a_run_that_is_lost(spool: bytes) -> None:
    assert list(Frames().feed(spool)) == [LOST]


def test_every_state_of_daytona_has_a_meaning() -> None:
    from daytona import SandboxState

    meanings = {state.value: meaning(state.value) for state in SandboxState}
    assert meanings["started"] == "ready" and {meanings["stopped"], meanings["archived"]} == {"stopped"}
    assert {name for name, its in meanings.items() if its == "creating"} == {
        "creating", "starting", "restoring", "pending_build", "building_snapshot", "pulling_snapshot",
    }  # fmt: skip
    assert meanings["resizing"] == meanings["unknown"] == "error" and meanings["destroyed"] == "gone"


def test_without_the_sdk_it_says_what_to_install(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "daytona", None)
    provider = DaytonaProvider(DaytonaOptions(root / "ours", KEY))
    with pytest.raises(Unsupported, match="pip install") as refusal:
        asyncio.run(provider.list())
    assert refusal.value.code == "NO_DAYTONA_SDK"


def test_the_provider_is_there_without_the_sdk_being_loaded() -> None:
    code = "import sys, trunkline_sandbox.wiring, trunkline_sandbox.adapters.providers.daytona; sys.exit('daytona' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
