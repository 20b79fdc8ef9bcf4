"""When a query may be answered: never before the views hold what was stored before it came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from trunkline.contracts.errors import Broken, Unavailable
from trunkline_relay.handlers.keep_fresh import ASK_EVERY, Freshness


class End:
    """The end of a log whose answer can be held back."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.asked = 0
        self.open = asyncio.Event()
        self.open.set()

    async def last_seq(self) -> int:
        self.asked += 1
        seq = self.seq
        await self.open.wait()
        return seq


@asynccontextmanager
async def watched(end: End, folded: int) -> AsyncIterator[Freshness]:
    freshness = Freshness(end.last_seq, folded)
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(freshness.run())
        yield freshness
        asking.cancel()


async def turns(number: int = 10) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_a_query_goes_on_at_once_when_everything_is_folded() -> None:
    async with watched(End(7), folded=7) as freshness:
        await freshness.settled(1)


async def test_a_query_waits_until_the_views_are_there() -> None:
    async with watched(End(9), folded=7) as freshness, asyncio.TaskGroup() as group:
        query = group.create_task(freshness.settled(1))
        await turns()
        freshness.advanced(8)
        await turns()
        assert not query.done()
        freshness.advanced(9)


async def test_it_is_known_whether_a_query_waits_for_the_views() -> None:
    async with watched(End(9), folded=7) as freshness, asyncio.TaskGroup() as group:
        assert not freshness.behind.is_set()
        group.create_task(freshness.settled(1))
        await turns()
        assert freshness.behind.is_set()
        freshness.advanced(8)
        assert freshness.behind.is_set()
        freshness.advanced(9)
        assert not freshness.behind.is_set()


async def test_queries_that_wait_together_ask_once() -> None:
    end = End(7)
    async with watched(end, folded=7) as freshness, asyncio.TaskGroup() as group:
        for _ in range(200):
            group.create_task(freshness.settled(1))
    assert end.asked == 1


async def test_a_query_never_goes_by_an_answer_that_was_asked_for_before_it_came() -> None:
    end = End(7)
    async with watched(end, folded=7) as freshness, asyncio.TaskGroup() as group:
        end.open.clear()
        early = group.create_task(freshness.settled(1))
        await turns()
        end.seq = 8  # a write that is acknowledged while the log is being asked
        late = group.create_task(freshness.settled(1))
        await turns()
        end.open.set()
        await asyncio.sleep(4 * ASK_EVERY)
        assert early.done() and not late.done()
        assert end.asked == 2
        freshness.advanced(8)


async def test_a_query_is_refused_when_the_views_stay_behind() -> None:
    async with watched(End(9), folded=7) as freshness:
        with pytest.raises(Unavailable) as refusal:
            await freshness.settled(0.02)
        assert refusal.value.code == "VIEWS_BEHIND"
        freshness.advanced(9)
        await freshness.settled(1)


async def test_a_query_is_refused_when_the_log_is_away_and_the_next_is_not() -> None:
    answers: list[int | Exception] = [OSError("gone"), 7]

    async def last_seq() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    freshness = Freshness(last_seq, 7)
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(freshness.run())
        with pytest.raises(Unavailable) as refusal:
            await freshness.settled(1)
        assert refusal.value.code == "LOG_AWAY"
        await freshness.settled(1)
        asking.cancel()


async def test_a_query_that_was_given_up_disturbs_nobody() -> None:
    async with watched(End(9), folded=7) as freshness, asyncio.TaskGroup() as group:
        given_up = group.create_task(freshness.settled(1))
        other = group.create_task(freshness.settled(1))
        await turns()
        given_up.cancel()
        await turns()
        freshness.advanced(9)
        await other


async def test_a_log_that_was_replaced_ends_the_relay_instead_of_serving_the_old_one() -> None:
    freshness = Freshness(End(3).last_seq, 7)
    with pytest.raises(ExceptionGroup) as broken:
        async with asyncio.TaskGroup() as group:
            group.create_task(freshness.run())
            with pytest.raises(Unavailable):
                await freshness.settled(1)
            await asyncio.sleep(1)
    assert [type(error) for error in broken.value.exceptions] == [Broken]


async def test_what_a_killed_server_lost_again_is_not_waited_for() -> None:
    end = End(9)
    async with watched(end, folded=7) as freshness, asyncio.TaskGroup() as group:
        start = group.create_task(freshness.caught_up(5, every=0.02))
        await turns()
        end.seq = 7
        await start


async def test_a_start_that_never_catches_up_is_given_up() -> None:
    async with watched(End(9), folded=7) as freshness:
        with pytest.raises(Unavailable, match="behind"):
            await freshness.caught_up(0.05, every=0.02)
