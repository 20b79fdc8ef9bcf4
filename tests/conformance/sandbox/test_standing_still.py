"""A sandbox that is frozen: nothing inside moves, no time passes for it, and it goes on where it stood."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.sandbox.agents import LONG, SMALL, Box, Heard, alive, asleep, gone, python, shell
from trunkline.contracts.errors import NotFound
from trunkline.contracts.ids import SandboxId
from trunkline_sandbox.adapters.providers.local import LocalProvider, following
from trunkline_sandbox.model import Entry

_COUNT = """
import os, time
if os.fork() == 0:
    os.setsid()
    for number in range(10**6):
        with open("beside", "w") as file: file.write(str(number))
        time.sleep(0.01)
for number in range(60):
    print(number, flush=True)
    time.sleep(0.02)
"""


@asynccontextmanager
async def listener(box: Box) -> AsyncIterator[asyncio.Task[Heard]]:
    async with asyncio.TaskGroup() as group:
        yield group.create_task(box.hear())


async def test_nothing_moves_while_it_is_frozen_and_no_wall_ends_it(near: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_OVERDUE", 0.5)
    await near.start(python(_COUNT), replace(SMALL, wall=4.0))
    async with listener(near) as heard:
        await asyncio.sleep(0.4)
        await near.provider.freeze(near.id)
        before = state(near)
        await asyncio.sleep(4.0)
        assert state(near) == before and before[1] > 0 and not heard.done()
        await near.provider.thaw(near.id)
    assert heard.result().out == [str(number).encode() for number in range(60)] and heard.result().exit.code == 0


def state(box: Box) -> tuple[int, int]:
    """Bytes of output, and how far the one beside it came."""
    spool = next((box.dir / "runs").glob("*/spool"))
    beside = (box.dir / "box" / "workspace" / "beside").read_text()
    return spool.stat().st_size, int(beside or 1)


async def test_its_time_goes_on_with_it(box: Box) -> None:
    await box.start(shell("trap '' TERM; while :; do sleep LONG; done"), replace(SMALL, wall=1.0))
    await asyncio.sleep(0.3)
    await box.provider.freeze(box.id)
    await asyncio.sleep(1.5)
    began = time.monotonic()
    await box.provider.thaw(box.id)
    heard = await box.hear()
    assert heard.exit.cause == "wall" and time.monotonic() - began > 0.4 and await gone(LONG)


async def test_freezing_and_thawing_may_be_repeated_and_done_by_others(near: Box) -> None:
    await near.start(replace(shell("while read x; do echo got $x; done"), keep_stdin=True))
    other = LocalProvider(near.root, unsafe=not near.provider.ability.egress_policy)
    for provider in (near.provider, other):
        await provider.freeze(near.id)
    await near.provider.tell(near.id, "k", Entry("a", b"one\n", close=True))
    await asyncio.sleep(0.3)
    assert not any(b"got" in spool.read_bytes() for spool in (near.dir / "runs").glob("*/spool"))
    for provider in (other, near.provider):
        await provider.thaw(near.id)
    assert (await near.hear()).out == [b"got one"]


async def test_many_times_frozen_nothing_is_lost(near: Box) -> None:
    await near.start(python("import time\nfor number in range(400): print(number, flush=True); time.sleep(0.002)"))
    async with listener(near) as heard:
        while not heard.done():
            await near.provider.freeze(near.id)
            await near.provider.thaw(near.id)
            await asyncio.sleep(0.01)
    assert heard.result().out == [str(number).encode() for number in range(400)] and heard.result().exit.code == 0


async def test_nobody_who_is_born_meanwhile_runs_on(near: Box) -> None:
    await near.start(shell("for at in 1 2 3; do (while :; do (echo x >> born); done) & done; wait"), replace(SMALL, wall=60))
    born = near.dir / "box" / "workspace" / "born"
    for _ in range(10):
        await grown(born)
        await near.provider.freeze(near.id)
        before = born.stat().st_size
        await asyncio.sleep(0.1)
        assert born.stat().st_size == before
        await near.provider.thaw(near.id)
    await grown(born, before)
    await near.provider.stop(near.id)


async def grown(path: Path, beyond: int = 0, patience: float = 20.0) -> None:
    """Return when the file is longer than `beyond` bytes."""
    end = asyncio.get_running_loop().time() + patience
    while not path.exists() or path.stat().st_size <= beyond:
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.01)


async def test_a_frozen_sandbox_is_stopped_like_any_other(box: Box) -> None:
    await box.start(shell("trap '' TERM CONT; setsid sleep LONG & echo up; sleep LONG"))
    assert await box.first_line() == b"up"
    await asleep(2)
    await box.provider.freeze(box.id)
    assert alive(LONG)
    async with asyncio.timeout(15):
        await box.provider.stop(box.id)
    assert not alive(LONG) and (await box.hear()).exit.cause == "killed"
    await box.provider.start(box.id, shell("echo next", "k2"))
    assert (await box.hear("k2")).out == [b"next"]


async def test_what_the_program_stopped_itself_stays_stopped(box: Box) -> None:
    code = """
    import os, signal, time
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(7)
    os.waitpid(child, os.WUNTRACED); print("stopped", flush=True)
    time.sleep(1.0)
    print(os.waitpid(child, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)[0], flush=True)
    """
    await box.start(python(code))
    assert await box.first_line() == b"stopped"
    await box.provider.freeze(box.id)
    await box.provider.thaw(box.id)
    assert (await box.hear()).out == [b"stopped", b"0"]


async def test_freezing_where_nothing_runs_does_nothing(box: Box) -> None:
    await box.run(shell("true"))
    await box.provider.freeze(box.id)
    await box.provider.start(box.id, shell("echo runs", "k2"))
    assert (await box.hear("k2")).out == [b"runs"]
    await box.provider.thaw(box.id)
    with pytest.raises(NotFound):
        await box.provider.freeze(SandboxId("none"))
