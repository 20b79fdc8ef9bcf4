"""Work that is shown again while its first carrier still has it: nobody calls it done before it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from trunkline.bus import BusAway, LeaveAlone, WorkItem
from trunkline_sandbox.handlers.once import Carried, once

ITEM = WorkItem(tenant="acme", task="t1", attempt=1, pool="dev", priority="P2")


async def shown_twice(carry: Callable[[], Awaitable[None]]) -> list[object]:
    carried: Carried = {}
    first = asyncio.create_task(once(carried, ITEM, carry))
    await asyncio.sleep(0)
    second = asyncio.create_task(once(carried, ITEM, carry))
    return await asyncio.gather(first, second, return_exceptions=True)


async def test_the_second_is_done_when_the_first_is() -> None:
    begun = []

    async def carry() -> None:
        begun.append(1)
        await asyncio.sleep(0.01)

    assert await shown_twice(carry) == [None, None]
    assert begun == [1]


@pytest.mark.parametrize(
    "failure", [BusAway("away"), LeaveAlone(), OSError("broken"), asyncio.CancelledError()], ids=lambda one: type(one).__name__
)
async def test_the_second_stays_undone_when_the_first_fails(failure: BaseException) -> None:
    async def carry() -> None:
        await asyncio.sleep(0.01)
        raise failure

    first, second = await shown_twice(carry)

    assert first is failure or isinstance(first, asyncio.CancelledError)
    assert isinstance(second, LeaveAlone)


async def test_another_round_is_other_work() -> None:
    carried: Carried = {}
    begun = []

    async def carry() -> None:
        begun.append(1)
        await asyncio.sleep(0.01)

    again = ITEM.model_copy(update={"round": 1})
    await asyncio.gather(once(carried, ITEM, carry), once(carried, again, carry))
    assert begun == [1, 1]
