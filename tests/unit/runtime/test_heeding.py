"""A cancel that comes together with the answer of nats-py is not forgotten."""

from __future__ import annotations

import asyncio

import pytest

from trunkline.bus.heeding import heeding


async def test_a_cancel_that_comes_together_with_the_answer_counts() -> None:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    asking = asyncio.create_task(heeding(asyncio.wait_for(answer, 5)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    answer.set_result("here it is")
    asking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_an_answer_is_handed_on_also_where_a_cancel_was_taken_back_or_is_older() -> None:
    async def old(answer: asyncio.Future[int]) -> int:
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            return await heeding(answer)
        return 0

    answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    asking = asyncio.create_task(old(answer))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.sleep(0)
    answer.set_result(7)

    assert await asking == 7
