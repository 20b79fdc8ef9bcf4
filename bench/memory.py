"""The row `memory`: what the idle stack holds, without nats-server: one process, and each service its own."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psutil

from bench.figures import Figure
from bench.plan import Plan
from bench.processes import MIB
from bench.watching import real_stack
from trunkline.testing.stack import Stack

IDLE = 20.0


def measure(plan: Plan) -> list[Figure]:
    figures: list[Figure] = []
    for name, flags in (("one process", ()), ("split", ("--split",))):
        with real_stack("true", *flags) as running:
            plan.say(f"memory: {name}, idle for {IDLE:.0f} s")
            time.sleep(2 if plan.quick else IDLE)
            figures += _held(name, running)
    return figures


def _held(name: str, running: Stack) -> Iterator[Figure]:
    tree = [process for process in _tree(running) if "nats-server" not in process.name()]
    full = [process.memory_full_info() for process in tree]
    began = sum(_spent(process) for process in tree)
    time.sleep(2)
    yield Figure(f"{name}: processes", len(tree), "")
    yield Figure(f"{name}: resident", sum(one.rss for one in full) / MIB, "MiB", "<= 150" if name == "one process" else "")
    yield Figure(f"{name}: proportional", sum(one.pss for one in full) / MIB, "MiB")
    yield Figure(f"{name}: processor while idle", (sum(_spent(process) for process in tree) - began) / 2 * 100, "%")


def _tree(running: Stack) -> list[psutil.Process]:
    assert running.process is not None
    top = psutil.Process(running.process.pid)
    return [top, *top.children(recursive=True)]


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
