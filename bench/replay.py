"""The row `replay`: a job that is over, from the log to one reader as fast as it goes, beside pages of the log written as they come."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from bench import timelines
from bench.figures import Figure, median
from bench.plan import Plan
from bench.timelines import Crowd, Written

TOGETHER = (1, 20)
"""Events in one record: what an agent says now and then, and what it says at once."""
ENOUGH = 50_000


def measure(plan: Plan) -> list[Figure]:
    events = 2_000 if plan.quick else 40_000
    with timelines.gateway() as system, timelines.bare(system.server.url) as floor, timelines.crowd() as crowd:

        async def all() -> list[Figure]:
            async with timelines.log_of(system) as bus:
                found: list[Figure] = []
                for together in TOGETHER:
                    made = await timelines.job(bus)
                    await made.tell(events, together)
                    await made.end()
                    found += _rounds(plan, crowd, made, (int(system.address), floor), together)
                return found

        return asyncio.run(all())


def _rounds(plan: Plan, crowd: Crowd, made: Written, ports: tuple[int, int], together: int) -> Iterator[Figure]:
    gateway, floor = ports
    ours, theirs = [], []
    for round in range(plan.rounds + 1):
        plan.say(f"replay: {together} in a record, round {round}/{plan.rounds}")
        heard = crowd.ask("take", port=gateway, path=made.path)
        if heard["events"] != made.lines + 2:  # and one that it was queued, and one that it is over
            raise RuntimeError(f"of {made.lines} events {heard['events']} came")
        ours.append(heard["events"] / heard["seconds"])
        bare = crowd.ask("take", port=floor, path=f"/history?subject={made.subject}")
        theirs.append(bare["events"] * together / bare["seconds"])
    ours, theirs = ours[1:], theirs[1:]  # the first round warms
    head = f"{made.lines:,} events, {together} in a record: "
    share = median(ours) / median(theirs)
    enough = median(ours) >= ENOUGH
    yield Figure(head + "from the log to one reader", median(ours), "/s")
    yield Figure(head + "the floor", median(theirs), "/s")
    yield Figure(head + "of the floor", share, "ratio", "" if enough else ">= 0.5")
