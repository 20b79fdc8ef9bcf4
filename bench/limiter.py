"""The row `limiter`: what it adds to a POST /tasks that nats-server counts its callers."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Final

from bench import processes
from bench.figures import Figure, at, median
from bench.front import front
from bench.plan import Plan

LEVELS: Final = {1: "<= 1", 8: ""}
TURNS: Final = 6


def measure(plan: Plan) -> list[Figure]:
    with ExitStack() as stack:
        client = stack.enter_context(processes.client())
        free, counted = stack.enter_context(front()), stack.enter_context(front(gateway="counting"))
        for system in (free, counted):
            client.measure("create", system.address, 8, 1.0)
        figures = []
        for level, limit in LEVELS.items():
            took: dict[str, list[float]] = {"free": [], "counted": []}
            for turn in range(TURNS * plan.rounds):
                plan.say(f"limiter: {level} in flight, turn {turn + 1}/{TURNS * plan.rounds}")
                for name, system in zip(took, (free, counted), strict=True):
                    took[name].append(at(client.measure("create", system.address, level, plan.seconds / 2)["first"], 0.5))
            pairs = zip(*took.values(), strict=True)
            head = f"POST /tasks, {level} in flight"
            figures += [
                Figure(f"{head}, nobody counted: p50", median(took["free"]), "ms"),
                Figure(f"{head}: counting adds to the p50", median([with_it - without for without, with_it in pairs]), "ms", limit),
            ]
        return figures
