"""The row `together`: eight jobs at once through the whole product, none may fail; the time that they take against one alone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

from bench.agents import NOT_MEASURED, SECONDS, claude, with_claude
from bench.figures import Figure, median
from bench.models import models
from bench.plan import Plan
from bench.watching import Job, real_stack, submit
from trunkline.testing.stack import Stack

JOBS: Final = 8
CPUS: Final = frozenset({0, 1})
COMMAND: Final = "sh -c 'echo working; sleep 0.2; echo 42 > answer.txt'"
"""What is run where there is no Claude Code."""
AT_ONCE: Final = {"TRUNKLINE_RUNS": str(JOBS), "TRUNKLINE_PULL_REQUESTS_AN_HOUR": "1000"}
"""All go to one repository, where the usual bound asks somebody after ten an hour."""


def measure(plan: Plan) -> list[Figure]:
    program = claude()
    if program is None:
        plan.say(f"{NOT_MEASURED}; `{COMMAND}` in its place")
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, allowed & CPUS or allowed)  # two cores, however many there are
    try:
        with ExitStack() as stack:
            if program is None:
                running = stack.enter_context(real_stack(COMMAND, **AT_ONCE))
            else:
                running = stack.enter_context(with_claude(program, stack.enter_context(models()).anthropic, **AT_ONCE))
            return list(_measured(plan, running, "command" if program is None else "Claude Code"))
    finally:
        os.sched_setaffinity(0, allowed)


def _measured(plan: Plan, running: Stack, agent: str) -> Iterator[Figure]:
    alone, all_of_them, failed = list[float](), list[float](), 0
    _run(running, 1)  # the first pays for what is read from the disk
    for round in range(1 if plan.quick else 2):
        plan.say(f"together: round {round + 1}")
        alone.append(_run(running, 1)[0])
        seconds, bad = _run(running, JOBS)
        all_of_them.append(seconds)
        failed += bad
    yield Figure(f"{agent}, one alone, submit to pull request", median(alone), "s")
    yield Figure(f"{agent}, {JOBS} at once on {len(os.sched_getaffinity(0))} cores, until the last", median(all_of_them), "s")
    yield Figure(f"{agent}, {JOBS} at once / {JOBS} alone one after the other", median(all_of_them) / median(alone) / JOBS, "ratio")
    yield Figure(f"{agent}, {JOBS} at once, failed", failed, "of all", "<= 0")


def _run(running: Stack, number: int) -> tuple[float, int]:
    """Seconds until the last is over, and how many did not end with a pull request."""
    began = time.monotonic()
    jobs = [submit(running) for _ in range(number)]
    bad = sum(not _well(job) for job in jobs)
    return time.monotonic() - began, bad


def _well(job: Job) -> bool:
    try:
        job.result(SECONDS)
    except (RuntimeError, TimeoutError):
        return False
    return True
