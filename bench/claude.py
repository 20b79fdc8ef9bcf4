"""The row `claude`: a task for the real Claude Code by Trunkline, from its start to its end, against the same program run bare."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from bench.agents import NOT_MEASURED, asked, bare, claude, done, moments, with_claude
from bench.figures import Figure, at
from bench.models import Models, models
from bench.plan import Plan

BEGUN, STARTED, CLOSED, ENDED = "run.phase agent", "run.agent_started", "message.closed", "run.agent_ended"


def measure(plan: Plan) -> list[Figure]:
    program = claude()
    if program is None:
        print(NOT_MEASURED, file=sys.stderr)
        return []
    with models() as both:
        return list(_measured(plan, program, both))


def _measured(plan: Plan, program: Path, both: Models) -> Iterator[Figure]:
    alone, whole, start, end, task = list[float](), list[float](), list[float](), list[float](), list[float]()
    with with_claude(program, both.anthropic) as running:
        bare(program, both.anthropic)  # the first start reads 200 MB from the disk, and the first task our programs
        done(asked(running))
        for round in range(1 if plan.quick else 7):
            plan.say(f"claude: round {round + 1}")
            alone.append(bare(program, both.anthropic))
            job = asked(running)
            done(job)
            when = moments(running, job)
            whole.append(_between(when, BEGUN, ENDED))
            start.append(_between(when, BEGUN, STARTED))
            end.append(_between(when, CLOSED, ENDED))
            task.append((job.seen[-1].at - job.sent_at) * 1000)
    yield Figure("bare, start to exit, p50", at(alone, 0.5), "ms")
    yield Figure("the same by Trunkline, start of the agent to its end, p50", at(whole, 0.5), "ms")
    over = [ours - theirs for ours, theirs in zip(whole, alone, strict=True)]
    yield Figure("Trunkline over the bare run just before it, p50", at(over, 0.5), "ms", "<= 100")
    yield Figure("of it until the program runs in its sandbox, p50", at(start, 0.5), "ms")
    yield Figure("of it from its farewell on: its exit and the last snapshot, p50", at(end, 0.5), "ms")
    yield Figure("the whole task, submit to pull request, p50", at(task, 0.5), "ms")


def _between(when: Mapping[str, datetime], first: str, last: str) -> float:
    return (when[last] - when[first]).total_seconds() * 1000
