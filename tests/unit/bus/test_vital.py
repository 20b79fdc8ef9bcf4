"""What a service cannot be without: when it breaks, the block ends, also where a library loses the cancel."""

from __future__ import annotations

import asyncio

import pytest

from trunkline.bus import vital as room
from trunkline.bus.vital import vital


class Broke(Exception):
    """What the work breaks with."""


async def test_the_block_ends_although_what_it_waits_in_swallowed_the_first_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "INSIST", 0.05)
    answered = asyncio.get_running_loop().create_future()

    async def work() -> None:
        await asyncio.sleep(0)
        answered.set_result(None)
        raise Broke

    with pytest.raises(Broke):
        async with asyncio.timeout(5), vital(work):
            await _swallowing(answered)
            await _swallowing(asyncio.get_running_loop().create_future())
            await asyncio.sleep(60)
    assert (block := asyncio.current_task()) and block.cancelling() == 0


async def _swallowing(answered: asyncio.Future[None]) -> None:
    """As `asyncio.wait_for` of Python 3.11 where an answer and the cancel come together."""
    try:
        await answered
        await asyncio.sleep(1)
    except asyncio.CancelledError:
        pass


async def test_an_orderly_end_is_not_disturbed() -> None:
    ends: list[str] = []

    async def work() -> None:
        raise Broke

    async def block() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            ends.append("let go of")

    with pytest.raises(Broke):
        async with vital(work):
            await block()
    assert ends == ["let go of"]


@pytest.mark.parametrize("breaks", [False, True])
async def test_a_work_that_loses_its_cancel_is_ended_all_the_same(monkeypatch: pytest.MonkeyPatch, breaks: bool) -> None:
    monkeypatch.setattr(room, "INSIST", 0.05)
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        await _swallowing(asyncio.get_running_loop().create_future())
        await asyncio.sleep(60)

    async with asyncio.timeout(20):
        with pytest.raises(Broke):
            async with vital(work):
                await begun.wait()
                if breaks:
                    raise Broke
            raise Broke  # the block came to its end
