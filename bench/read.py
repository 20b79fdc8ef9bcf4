"""The row `read`: a job read right after it was written, one at a time and 64 at once; the read must know of the write."""

from __future__ import annotations

from collections.abc import Iterator

from bench import processes
from bench.figures import Figure, at
from bench.plan import Plan
from bench.services import NAMES


def measure(plan: Plan) -> list[Figure]:
    with processes.client() as client, processes.trunkline("one process", [NAMES]) as system:
        client.measure("read", system.address, 4, 0.3)
        return [figure for level in (1, 64) for figure in _level(plan, client, system, level)]


def _level(plan: Plan, client: processes.Client, system: processes.System, level: int) -> Iterator[Figure]:
    writes, reads, stale = [], [], 0
    for round in range(plan.rounds):
        plan.say(f"read: round {round + 1}/{plan.rounds}, {level} in flight")
        heard = client.measure("read", system.address, level, plan.seconds)
        writes += heard["first"]
        reads += heard["read"]
        stale += heard["bad"]
    yield Figure(f"{level} in flight: write (POST execute) p50", at(writes, 0.5), "ms")
    yield Figure(f"{level} in flight: write (POST execute) p99", at(writes, 0.99), "ms")
    yield Figure(f"{level} in flight: read after write p50", at(reads, 0.5), "ms")
    yield Figure(f"{level} in flight: read after write p99", at(reads, 0.99), "ms")
    yield Figure(f"{level} in flight: reads", len(reads) / (plan.rounds * plan.seconds), "/s")
    yield Figure(f"{level} in flight: stale reads", stale, "of all", "<= 0")
