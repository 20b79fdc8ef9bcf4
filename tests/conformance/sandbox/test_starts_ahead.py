"""A start that is made while git clones: nothing runs before its word, it sees the tree that comes later, and leaves when no word comes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.conformance.sandbox.agents import LONG, Box, asleep, eventually, gone, shell
from trunkline.contracts.errors import NotFound
from trunkline_sandbox.adapters.providers.local import LocalProvider, giving, kill_all, starts_ahead
from trunkline_sandbox.adapters.providers.local.places import place
from trunkline_sandbox.ports import Exit, Limits, SandboxSpec

ONCE = "echo run >> runs; cat runs a"

_MAKER = """
import asyncio, sys
from pathlib import Path
from trunkline_sandbox.adapters.providers.local import LocalProvider
from trunkline_sandbox.ports import Launch, Limits, SandboxSpec

async def main():
    provider = LocalProvider(Path(sys.argv[1]))
    launch = Launch("k", ("/bin/bash", "-c", sys.argv[2]), {})
    await provider.ensure(SandboxSpec("box-1", Limits(wall=30), {}))
    await provider.start_ahead("box-1", launch)
    await provider._ahead.made("box-1")
    print("made", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await provider.start("box-1", launch)
    async for one in provider.output("box-1", "k"):
        print(one, flush=True)

asyncio.run(main())
"""


def maker(box: Box, agent: str) -> subprocess.Popen[str]:
    """Another service, which has made a start ahead and does not go on before it is told to."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    argv = [sys.executable, "-c", _MAKER, str(box.root), agent]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
    assert process.stdout and process.stdout.readline() == "made\n"
    return process


def tree(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    (made / "sub").mkdir(parents=True)
    (made / "a").write_text("given\n")
    return made


def waiting(box: Box) -> list[psutil.Process]:
    """Every bubblewrap of the sandbox."""
    found = psutil.process_iter(["cmdline", "status"])
    mine = [one for one in found if f"{box.dir}/box/workspace" in (one.info["cmdline"] or ())]
    return [one for one in mine if one.info["status"] != psutil.STATUS_ZOMBIE]


async def ahead(box: Box, agent: str) -> None:
    """Until what was begun with waits for its word."""
    await box.ensure()
    await box.provider.start_ahead(box.id, shell(agent))
    assert await eventually(lambda: len(waiting(box)) > 0)


async def test_it_sees_the_tree_that_is_given_later_and_runs_once(walled: Box, tmp_path: Path) -> None:
    await ahead(walled, ONCE)
    await walled.provider.give(walled.id, tree(tmp_path))
    assert not (walled.dir / "box" / "workspace" / "runs").exists()
    await walled.provider.start(walled.id, replace(shell(ONCE), env={"LATER": "x"}, files={"/run/trunkline/task": b"x"}))
    await walled.provider.start(walled.id, shell(ONCE))
    heard = await walled.hear()
    assert heard.out == [b"run", b"given"] and heard.exit == Exit(0)
    assert sorted(os.listdir(await walled.provider.take(walled.id))) == ["a", "runs", "sub"]


async def test_the_tree_may_be_given_again_while_it_waits(walled: Box, tmp_path: Path) -> None:
    await ahead(walled, "ls; cat a")
    old = tree(tmp_path)
    (old / "gone").touch()
    await walled.provider.give(walled.id, old)
    await walled.provider.give(walled.id, tree(tmp_path))
    await walled.provider.give(walled.id, tmp_path / "tree")
    await walled.provider.start(walled.id, shell("ls; cat a"))
    assert (await walled.hear()).out == [b"a", b"sub", b"given"]


async def test_what_was_to_be_shown_otherwise_is_started_anew(walled: Box, tmp_path: Path) -> None:
    await ahead(walled, "true")
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho tool\n")
    tool.chmod(0o755)
    await walled.provider.start(walled.id, replace(shell("/opt/agent/tool"), tools={"/opt/agent/tool": tool}))
    assert (await walled.hear()).out == [b"tool"]


async def test_a_sandbox_that_is_stopped_or_removed_leaves_nobody_waiting(walled: Box) -> None:
    for end in (walled.provider.stop, walled.provider.remove):
        await ahead(walled, "true")
        await end(walled.id)
        assert not waiting(walled)
        await walled.provider.remove(walled.id)


async def test_one_whose_runner_vanished_is_started_anew(walled: Box) -> None:
    await ahead(walled, "echo up")
    for one in waiting(walled):
        one.kill()
    await walled.provider.start(walled.id, shell("echo up"))
    assert (await walled.hear()).out == [b"up"]


@pytest.mark.parametrize("end", ["all", "the sandbox", "the start"])
async def test_who_was_ended_while_it_waited_may_still_be_started(walled: Box, tmp_path: Path, end: str) -> None:
    await ahead(walled, ONCE)
    if end == "all":
        assert await asyncio.to_thread(kill_all, walled.root)
    else:
        await (walled.provider.stop(walled.id) if end == "the sandbox" else walled.provider.end(walled.id, "k"))
    assert not waiting(walled)
    walled.provider.close()
    next_one = Box(LocalProvider(walled.root), walled.root)
    await next_one.provider.give(walled.id, tree(tmp_path))
    await next_one.provider.start(walled.id, shell(ONCE))
    assert (await next_one.hear()).out == [b"run", b"given"]
    next_one.provider.close()


async def test_who_waits_under_another_key_is_sent_away_by_a_start(walled: Box) -> None:
    await ahead(walled, "true")
    first = waiting(walled)
    await walled.provider.start(walled.id, shell("echo up", "other"))
    assert not {one.pid for one in first} & {one.pid for one in waiting(walled)}
    assert (await walled.hear("other")).out == [b"up"]


async def test_what_nobody_takes_is_closed_when_nobody_waits_any_more(walled: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts_ahead, "AHEAD_MS", 300)
    await ahead(walled, "echo up")
    made = await walled.provider._ahead.made(walled.id)
    assert made and made.stands()
    assert await eventually(lambda: not made.files.fds) and not made.stands()
    await walled.provider.start(walled.id, shell("echo up"))
    assert (await walled.hear()).out == [b"up"]


async def test_a_start_that_is_cancelled_before_it_began_keeps_no_file_open(walled: Box) -> None:
    await ahead(walled, "echo up")
    made = await walled.provider._ahead.made(walled.id)
    free, lanes = threading.Event(), ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(lanes)
    lanes.submit(free.wait, 10)
    start = asyncio.create_task(walled.provider.start(walled.id, shell("echo up")))
    assert await eventually(lambda: lanes._work_queue.qsize() == 1)
    start.cancel()
    await asyncio.wait({start})
    free.set()
    await walled.provider.stop(walled.id)
    assert start.cancelled() and made and not made.files.fds


async def test_nobody_waits_for_a_service_that_died(walled: Box) -> None:
    first = maker(walled, ONCE)
    assert waiting(walled)
    first.kill()
    first.communicate()
    assert await eventually(lambda: not waiting(walled))


async def test_who_takes_over_from_a_service_that_died_starts_it_once(walled: Box, tmp_path: Path) -> None:
    first = maker(walled, ONCE)
    first.kill()
    first.communicate()
    await walled.provider.start_ahead(walled.id, shell(ONCE))
    await walled.provider.give(walled.id, tree(tmp_path))
    await walled.provider.start(walled.id, shell(ONCE))
    assert (await walled.hear()).out == [b"run", b"given"]


@pytest.mark.parametrize("again", [True, False])
async def test_who_takes_over_from_a_service_that_hangs_sends_away_who_waits_for_it(walled: Box, tmp_path: Path, again: bool) -> None:
    first = maker(walled, f"{ONCE}; sleep LONG".replace("LONG", LONG))
    first.send_signal(signal.SIGSTOP)
    try:
        if again:
            await walled.provider.start_ahead(walled.id, shell("true"))
        async with asyncio.timeout(30):
            await walled.provider.give(walled.id, tree(tmp_path))
            await walled.provider.start(walled.id, shell(f"{ONCE}; sleep LONG"))
        await asleep(1)
    finally:
        first.send_signal(signal.SIGCONT)
    assert first.stdin and first.stdout
    first.stdin.write("\n")
    first.stdin.flush()
    heard = [first.stdout.readline() for _ in range(2)]
    first.kill()
    first.communicate()
    assert "b'run'" in heard[0] and "b'given'" in heard[1]
    await walled.provider.stop(walled.id)
    assert (await walled.hear()).out == [b"run", b"given"] and await gone(LONG)


async def test_giving_in_place_goes_on_wherever_it_was_interrupted(walled: Box, tmp_path: Path) -> None:
    await walled.provider.ensure(SandboxSpec(walled.id, Limits(), {}))
    here = place(walled.root, walled.id)
    giving.give(here, tree(tmp_path), in_place=True)
    halfway = here.workspace.with_name(".giving")
    halfway.mkdir()
    os.rename(here.workspace / "a", halfway / "a")
    giving.give(here, tmp_path / "tree", in_place=False)
    assert sorted(os.listdir(here.workspace)) == ["a", "sub"] and not halfway.exists()
    giving.give(here, tree(tmp_path), in_place=False)
    assert sorted(os.listdir(here.workspace)) == ["a", "sub"]
    giving.clear(here)
    with pytest.raises(NotFound):
        giving.give(place(walled.root, walled.other("box-2").id), tmp_path / "nothing", in_place=True)
