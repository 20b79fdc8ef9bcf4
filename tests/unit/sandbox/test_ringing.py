"""Whoever follows a file hears at once that it was written to, and by the clock where the kernel tells nobody."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from threading import Semaphore

import pytest

from trunkline_sandbox.adapters.providers.local import ringing
from trunkline_sandbox.adapters.providers.local.ringing import Ring

LONG = 3600.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "spool"
    file.touch()
    return file


async def heard(ring: Ring, seconds: float = LONG) -> None:
    async with asyncio.timeout(20):
        await ring.wait(seconds)


async def test_every_write_is_heard_also_one_before_the_wait(file: Path) -> None:
    with ringing.ringing(file) as ring, file.open("ab", buffering=0) as out:
        assert ring.sure
        for _ in range(3):
            out.write(b"line\n")
            await heard(ring)


async def test_it_is_heard_that_whoever_wrote_is_gone(file: Path) -> None:
    with ringing.ringing(file) as ring:
        file.open("ab").close()
        await heard(ring)


async def test_silence_lasts_as_long_as_one_is_ready_to_wait(file: Path) -> None:
    with ringing.ringing(file) as ring:
        await heard(ring, 0.01)
        waiting = asyncio.ensure_future(ring.wait(LONG))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        waiting.cancel()


async def test_where_no_ear_is_left_time_passes_and_a_closed_one_is_free_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ringing, "_free", Semaphore(1))
    with ringing.ringing(file), ringing.ringing(file) as deaf:
        assert not deaf.sure
        await heard(deaf, 0.01)
    with ringing.ringing(file) as ring:
        assert ring.sure


async def test_a_file_that_is_not_there_is_not_listened_to(tmp_path: Path) -> None:
    with ringing.ringing(tmp_path / "none") as deaf:
        assert not deaf.sure


async def test_who_stops_listening_holds_nobody_up(file: Path) -> None:
    """The kernel takes some 15 ms to end each; the first of a burst may be quick."""
    held = []
    for _ in range(4):
        with ringing.ringing(file):
            began = time.perf_counter()
        held.append(time.perf_counter() - began)
    assert sorted(held)[1] < 0.005
