"""Gathering output: nothing waits after silence, a flood becomes few records, and a line is never torn apart."""

import asyncio
from collections.abc import Sequence

import pytest

from trunkline.contracts.run import AgentOutput, Said
from trunkline.runtime.alongside import alongside
from trunkline_sandbox.handlers.gather import BOUND, MOST, PAUSE, Gatherer


def line(number: int, text: str = "x") -> list[AgentOutput]:
    return [AgentOutput(attempt=0, line=number, kind=Said.MESSAGE, text=text)]


async def gathered(groups: Sequence[Sequence[AgentOutput]]) -> list[list[AgentOutput]]:
    records: list[list[AgentOutput]] = []

    async def store(batch: Sequence[AgentOutput]) -> None:
        records.append(list(batch))

    gatherer = Gatherer(store)

    async def say() -> None:
        for group in groups:
            await gatherer.put(group)
        await gatherer.close()

    await alongside(say(), gatherer.run())
    return records


async def test_everything_is_stored_once_and_in_order() -> None:
    records = await gathered([line(n) for n in range(1, 501)])
    assert [output.line for record in records for output in record] == list(range(1, 501))
    assert len(records) < 20


async def test_the_outputs_of_one_line_stay_together() -> None:
    groups = [line(n, "y" * 3000) + line(n, "z" * 3000) for n in range(1, 200)]
    for record in await gathered(groups):
        assert len(record) % 2 == 0
        assert sum(len(output.text) for output in record) <= MOST


async def test_the_first_word_after_silence_is_stored_at_once() -> None:
    stored = asyncio.Event()

    async def store(_: Sequence[AgentOutput]) -> None:
        stored.set()

    gatherer = Gatherer(store)

    async def say() -> None:
        await gatherer.put(line(1))
        async with asyncio.timeout(PAUSE / 2):
            await stored.wait()
        await gatherer.close()

    await alongside(say(), gatherer.run())


async def test_a_slow_store_makes_the_reader_wait_and_not_the_memory_grow() -> None:
    held = asyncio.Event()
    put = 0

    async def store(_: Sequence[AgentOutput]) -> None:
        await held.wait()

    gatherer = Gatherer(store)

    async def say() -> None:
        nonlocal put
        for number in range(1, 100):
            await gatherer.put(line(number, "x" * 16_000))
            put += 1
        await gatherer.close()

    async def let_go() -> None:
        await asyncio.sleep(0.1)
        assert put * 16_000 <= BOUND + MOST + 2 * 16_000
        held.set()

    await alongside(say(), _both(gatherer.run(), let_go()))
    assert put == 99


async def _both(*work: object) -> None:
    async with asyncio.TaskGroup() as group:
        for coroutine in work:
            group.create_task(coroutine)  # type: ignore[arg-type]


async def test_a_store_that_fails_interrupts_the_reader() -> None:
    async def store(_: Sequence[AgentOutput]) -> None:
        raise OSError("no")

    gatherer = Gatherer(store)

    async def say() -> None:
        await gatherer.put(line(1))
        await asyncio.sleep(30)

    with pytest.raises(OSError, match="no"):
        await alongside(say(), gatherer.run())
