"""The row `deciding`: how long a decision takes where ten thousand other approvals are open, and where a hundred are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import orjson
import uvloop

from bench import processes
from bench.bare import CREATE, token
from bench.figures import Figure, at, median
from bench.plan import Plan

FEW, MANY, FEWER_MANY = 100, 10_000, 500
HELD: Final = {**orjson.loads(CREATE), "priority": "P1"}
"""A task that waits for a word of somebody else."""
AT_ONCE: Final = 32
TURN: Final = 20
"""Decisions of one, then as many of the other: the machine becomes slower and faster for both alike."""
TURNS: Final = 10
WITHIN: Final = 120.0


@dataclass(frozen=True, slots=True)
class Desk:
    """Somebody who asks, and somebody else who decides."""

    asking: aiohttp.ClientSession
    deciding: aiohttp.ClientSession

    async def ask(self, count: int) -> None:
        """Returns when all of them are open."""
        left = iter(range(count))

        async def hand() -> None:
            for _ in left:
                await _answer(self.asking.post("/tasks", json=HELD))

        async with asyncio.timeout(WITHIN), asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(hand())
        async with asyncio.timeout(WITHIN):
            while (await self._pending(1))["total"] < count:  # noqa: ASYNC110 (views follow, and say so to nobody)
                await asyncio.sleep(0.1)

    async def decided(self, count: int) -> list[float]:
        """Milliseconds of each."""
        took = []
        for approval in (await self._pending(count))["approvals"]:
            began = time.perf_counter()
            await _answer(self.deciding.post(f"/approvals/{approval['approval_id']}/reject", json={"reason": "not now"}))
            took.append((time.perf_counter() - began) * 1e3)
        return took

    async def _pending(self, limit: int) -> dict[str, Any]:
        return await _answer(self.deciding.get(f"/approvals/pending?limit={limit}"))


async def _answer(asked: Any) -> dict[str, Any]:
    async with asked as answer:
        body: dict[str, Any] = await answer.json()
        if answer.status != 200:
            raise RuntimeError(f"answered {answer.status}: {body}")
        return body


def measure(plan: Plan) -> list[Figure]:
    with processes.trunkline("few", processes.APART) as few, processes.trunkline("many", processes.APART) as many:
        return list(uvloop.run(_measured(plan, int(few.address), int(many.address))))


@asynccontextmanager
async def _desk(port: int) -> AsyncIterator[Desk]:
    url, who = f"http://127.0.0.1:{port}", {"headers": {"Authorization": f"Bearer {token()}"}}
    other = {"headers": {"Authorization": f"Bearer {token('admin', 'ann')}"}}
    async with aiohttp.ClientSession(url, **who) as asking, aiohttp.ClientSession(url, **other) as deciding:
        yield Desk(asking, deciding)


async def _measured(plan: Plan, few: int, many: int) -> Iterator[Figure]:
    turns = 2 if plan.quick else TURNS
    async with _desk(few) as here, _desk(many) as there:
        for desk, count in ((here, FEW), (there, FEWER_MANY if plan.quick else MANY)):
            plan.say(f"deciding: {count:,} are asked")
            await desk.ask(count + turns * TURN)
        took: dict[Desk, list[list[float]]] = {here: [], there: []}
        for turn in range(turns):
            plan.say(f"deciding: turn {turn + 1}/{turns}")
            for desk, times in took.items():
                times.append(await desk.decided(TURN))
    shares = [at(slow, 0.5) / at(quick, 0.5) for quick, slow in zip(took[here], took[there], strict=True)]
    return iter([*_figures("100", took[here]), *_figures("10,000", took[there]), _share(median(shares), plan)])


def _figures(open_ones: str, turns: list[list[float]]) -> Iterator[Figure]:
    times = [each for turn in turns for each in turn]
    yield Figure(f"a decision, {open_ones} others open: p50", at(times, 0.5), "ms")
    yield Figure(f"a decision, {open_ones} others open: p99", at(times, 0.99), "ms")


def _share(value: float, plan: Plan) -> Figure:
    return Figure("10,000 others open / 100 others open", value, "ratio", "" if plan.quick else "<= 1.15")
