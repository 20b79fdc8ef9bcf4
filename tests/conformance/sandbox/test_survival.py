"""The service dies and another one comes: no line, no agent and no end is lost, and nothing is left behind."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace

import psutil
import pytest

from tests.conformance.sandbox.agents import LONG, SMALL, Box, alive, asleep, gone, shell, spelled
from trunkline_sandbox.adapters.providers.local import LocalProvider, following, kill_all, limits
from trunkline_sandbox.model import Entry
from trunkline_sandbox.ports import Exit

_SERVICE = """
import asyncio, sys
from pathlib import Path
from trunkline_sandbox.adapters.providers.local import LocalProvider
from trunkline_sandbox.ports import Launch, Limits, SandboxSpec

async def main():
    provider = LocalProvider(Path(sys.argv[1]), unsafe=sys.argv[2] == "unsafe")
    await provider.ensure(SandboxSpec("box-1", Limits(wall=30), {}))
    await provider.start("box-1", Launch("k", ("/bin/bash", "-c", sys.argv[3]), {}, keep_stdin=True))
    async for one in provider.output("box-1", "k"):
        print("line", one.number if hasattr(one, "number") else one, flush=True)

asyncio.run(main())
"""


def service(box: Box, agent: str) -> subprocess.Popen[str]:
    kind = "walled" if box.provider.ability.egress_policy else "unsafe"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    argv = [sys.executable, "-c", _SERVICE, str(box.root), kind, spelled(agent)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env)


def hears(process: subprocess.Popen[str], number: int) -> None:
    """Return when the service has heard that line."""
    assert process.stdout is not None
    while process.stdout.readline() != f"line {number}\n":
        assert process.poll() is None


def die(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


async def test_another_service_hears_every_line_and_the_end(near: Box) -> None:
    first = service(near, "for i in $(seq 120); do echo $i; sleep 0.005; done; read x; echo got $x; exit 7")
    hears(first, 20)
    die(first)
    await near.provider.tell(near.id, "k", Entry("word", b"word\n"))
    heard = await near.hear()
    assert heard.out == [*(str(i).encode() for i in range(1, 121)), b"got word"] and heard.exit == Exit(7)
    assert [line.number for line in heard.lines] == list(range(1, 122))


async def test_another_service_stops_what_a_dead_one_started(near: Box) -> None:
    first = service(near, "trap '' TERM; setsid sleep LONG & echo up; sleep LONG")
    hears(first, 1)
    die(first)
    await asleep(2)
    await near.provider.stop(near.id)
    assert not alive(LONG) and (await near.hear()).exit.cause == "killed"


@pytest.mark.parametrize("after", [0.0, 0.01, 0.02, 0.03, 0.05, 0.08])
async def test_a_service_killed_while_it_starts_leaves_one_program_or_none(walled: Box, after: float) -> None:
    await walled.ensure()
    agent = "echo run >> /workspace/runs; sleep 0.1; cat /workspace/runs"
    first = service(walled, agent)
    while not (walled.dir / "runs").is_dir() or not any((walled.dir / "runs").iterdir()):
        assert first.poll() is None
    with suppress(subprocess.TimeoutExpired):
        first.wait(after)
    die(first)
    await walled.provider.start(walled.id, replace(shell(agent), keep_stdin=True))
    assert (await walled.hear()).out == [b"run"]


async def test_a_run_whose_runner_vanished_is_lost_once_and_for_all(walled: Box) -> None:
    await walled.start(shell("echo up; sleep LONG"))
    assert await walled.first_line() == b"up"
    runner = (await asleep()).parents()
    next(one for one in runner if "/run/runner/runner.pyc" in one.cmdline() and "bwrap" not in one.name()).kill()
    assert (await walled.hear()).exit == Exit(None, None, "lost")
    await walled.provider.stop(walled.id)
    await walled.provider.start(walled.id, shell("echo again"))
    assert (await walled.hear()).exit == Exit(None, None, "lost") and await gone(LONG)


async def test_a_runner_that_hangs_past_its_wall_is_ended_by_who_follows_it(walled: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_OVERDUE", 0.1)
    await walled.start(shell("echo up; sleep LONG"), replace(SMALL, wall=0.6))
    next(one for one in (await asleep()).parents() if "/run/runner/runner.pyc" in one.cmdline() and "bwrap" not in one.name()).suspend()
    assert (await walled.hear(patience=30.0)).exit.cause == "wall"
    assert await gone(LONG)


async def test_stopping_a_sandbox_whose_process_is_gone_is_no_error(walled: Box) -> None:
    await walled.start(shell("true"))
    await walled.hear()
    await walled.provider.stop(walled.id)
    assert (await walled.hear()).exit == Exit(0)


async def test_an_end_on_record_stays_what_it_was(near: Box) -> None:
    heard = await near.run(shell("exit 9"))
    await near.provider.stop(near.id)
    later = LocalProvider(near.root, unsafe=not near.provider.ability.egress_policy)
    assert [one async for one in later.output(near.id, "k")] == [heard.exit] == [Exit(9)]


async def test_kill_all_ends_every_sandbox_without_an_event_loop(near: Box) -> None:
    for id in ("a", "b"):
        await near.other(id).start(shell("echo up; setsid sleep LONG & sleep LONG"))
        await near.other(id).first_line()
    assert kill_all(near.root) >= 2
    assert not alive(LONG) and kill_all(near.root) == 0
    assert (await near.other("b").hear()).exit.cause == "killed"


async def test_no_control_group_and_no_zombie_is_left(walled: Box) -> None:
    await walled.run(shell("sleep 0.1"))
    digest = hashlib.sha256(str(walled.root).encode()).hexdigest()[:8]
    cages = [parent / f"trunkline-{digest}-{walled.id}" for parent in limits.find().parents.values()]
    assert all(path.is_dir() for path in cages)
    await walled.provider.remove(walled.id)
    assert not [path for path in cages if path.exists()]
    assert not [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE]


async def test_a_stopped_sandbox_takes_another_start(box: Box) -> None:
    await box.start(shell("sleep 60"))
    await box.provider.stop(box.id)
    await box.provider.start(box.id, shell("echo next", "k2"))
    assert (await box.hear("k2")).out == [b"next"]
    assert (await box.run(shell("echo limits hold", "k3"), SMALL)).exit == Exit(0)
