"""Several starts side by side in one sandbox: each is ended, stands still and is forgotten alone."""

from __future__ import annotations

import asyncio

import pytest

from tests.conformance.sandbox.agents import Box, python
from trunkline.contracts.errors import NotFound
from trunkline_sandbox.handlers.named_ending import Shared
from trunkline_sandbox.ports import Line

_TICKS = """
import os, time
number = 0
while not os.path.exists("go"):
    number += 1
    print(number, flush=True)
    time.sleep(0.02)
print("went")
"""


async def both(box: Box) -> None:
    for key in ("one", "two"):
        await box.start(python(_TICKS, key))
        assert await box.first_line(key) == b"1"


async def further(box: Box, key: str, than: int) -> int:
    """How far it came, once that is further."""
    async with asyncio.timeout(20):
        async for one in box.provider.output(box.id, key):
            assert isinstance(one, Line), one
            if int(one.data) > than:
                return int(one.data)
    raise AssertionError("it ended")


async def so_far(box: Box, key: str) -> int:
    """The last that it said, once nothing more comes for a while."""
    last, output = 0, box.provider.output(box.id, key)
    try:
        while True:
            async with asyncio.timeout(1):
                one = await anext(output)
            assert isinstance(one, Line), one
            last = int(one.data)
    except TimeoutError:
        return last


async def test_one_start_is_ended_and_the_other_goes_on(box: Box) -> None:
    await both(box)
    assert isinstance(box.provider, Shared)
    await box.provider.end(box.id, "one")
    await box.provider.end(box.id, "one")
    assert (await box.hear("one")).exit.cause == "killed"
    await further(box, "two", await further(box, "two", 0))
    await box.run(python("open('go', 'w')", "three"))
    heard = await box.hear("two")
    assert (heard.out[-1], heard.exit.code) == (b"went", 0)
    await box.provider.end(box.id, "two")
    assert (await box.hear("two")).exit.code == 0, "what ended by itself was not ended by anybody"


async def test_one_start_stands_still_alone(near: Box) -> None:
    await both(near)
    await near.provider.hold(near.id, "one", True)
    stood = await so_far(near, "one")
    await further(near, "two", await further(near, "two", 0))
    assert await so_far(near, "one") == stood
    await near.provider.hold(near.id, "one", False)
    await further(near, "one", stood)
    await near.provider.stop(near.id)


async def test_only_what_has_ended_is_forgotten(near: Box) -> None:
    await both(near)
    for key in ("one", "two", "three"):
        await near.provider.forget(near.id, key)
    await further(near, "one", 1)
    await near.provider.end(near.id, "one")
    await near.provider.forget(near.id, "one")
    with pytest.raises(NotFound):
        await near.hear("one")
    await further(near, "two", await further(near, "two", 0))
    await near.provider.stop(near.id)


async def test_what_is_not_there_is_ended_and_forgotten(box: Box) -> None:
    await box.provider.end(box.id, "one")
    await box.ensure()
    await box.provider.end(box.id, "one")
    await box.provider.forget(box.id, "one")
    assert [one.id for one in await box.provider.list()] == [box.id]
