"""The row `rebuild`: all views anew out of the log, as `trunkline doctor --views` makes them; the floor reads it and folds nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import uvloop

from bench.figures import Figure
from bench.plan import Plan
from trunkline.bus import Bus, BusSettings, connect
from trunkline.bus.reading import reading
from trunkline.contracts import subjects
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Record
from trunkline.contracts.run import (
    AgentOutput,
    AgentStarted,
    BranchPushed,
    ChangesCommitted,
    Phase,
    PhaseBegan,
    PullRequestOpened,
    RepositoryCloned,
    RunClaimed,
    RunResult,
    RunSucceeded,
    Said,
    SandboxReady,
)
from trunkline.contracts.task import Assignment, TaskAssigned, TaskStarted, TaskSubmitted, TaskSucceeded
from trunkline.testing.nats import nats_server
from trunkline_relay.wiring import rebuilding

NOON: Final = datetime(2026, 5, 1, 12, tzinfo=UTC)
TASKS: Final = 2_000
SIDE_BY_SIDE: Final = 20
ROUNDS: Final = 3
TENANT: Final = TenantId("acme")


def measure(plan: Plan) -> list[Figure]:
    return uvloop.run(_measured(plan, 100 if plan.quick else TASKS))


async def _measured(plan: Plan, tasks: int) -> list[Figure]:
    figures: list[Figure] = []
    for name, talk in (("short tasks", 5), ("tasks that talk", 60)):
        plan.say(f"rebuild: {tasks:,} {name}")
        timeline = _timeline(talk)
        facts = tasks * sum(len(record.facts) for _, record in timeline)
        with nats_server() as server:
            settings = BusSettings(nats_url=server.url)
            async with connect(settings, "bench") as bus:
                await _fill(bus, timeline, tasks)
            floors, folds = [], []
            for _ in range(plan.rounds):
                floors.append(facts / await _floor(settings))
                folds.append(facts / await _rebuilt(settings, tasks))
        figures += [
            Figure(f"{name}: the log read, nothing folded", max(floors), "facts/s"),
            Figure(f"{name}: all views rebuilt", max(folds), "facts/s", ">= 50000"),
            Figure(f"{name}: rebuilt to read", max(folds) / max(floors), "ratio"),
        ]
    return figures


async def _fill(bus: Bus, timeline: Sequence[tuple[str, Record]], tasks: int) -> None:
    """As many tasks go on at a time as a small installation has hands."""
    for first in range(0, tasks, SIDE_BY_SIDE):
        async with asyncio.TaskGroup() as group:
            for number in range(first, min(first + SIDE_BY_SIDE, tasks)):
                group.create_task(_told(bus, TaskId(f"{number:032x}"), timeline))


async def _told(bus: Bus, task: TaskId, timeline: Sequence[tuple[str, Record]]) -> None:
    for number, (part, record) in enumerate(timeline):
        await bus.log.say(subjects.event(TENANT, task, part), record, id=f"{task}{number}")


async def _floor(settings: BusSettings) -> float:
    """Seconds to read it all."""
    count = [0]

    def take(seq: int, subject: str, body: bytes) -> None:
        count[0] += len(body)

    async with reading(settings) as log:
        extent = await log.extent()
        began = time.perf_counter()
        await log.all(take, 1, extent.last)
        return time.perf_counter() - began


async def _rebuilt(settings: BusSettings, tasks: int) -> float:
    """Seconds from an empty place to views that hold it all."""
    async with reading(settings) as log:
        extent = await log.extent()
        with rebuilding(extent.life.epoch) as (rebuild, views):
            began = time.perf_counter()
            await log.all(rebuild.take, 1, extent.last)
            rebuild.settle()
            took = time.perf_counter() - began
            if views.counts().total != tasks:
                raise RuntimeError(f"{views.counts().total} tasks were rebuilt, and {tasks} are in the log")
            return took


def _timeline(talk: int) -> list[tuple[str, Record]]:
    """What a task of the local sandbox leaves behind, in such messages; its agent says `talk` things, a few a message."""
    asked = Assignment(repo="acme/web", prompt="Fix the login bug, and add a test that fails without it.")
    said = [AgentOutput(attempt=1, line=line + 1, kind=Said.MESSAGE, text=f"step {line}: reading src/login.py") for line in range(talk)]
    each = 1 if talk <= 5 else 5
    result = RunResult(
        branch="trunkline/fix-1", base="main", commit="c0ffee", pull_request=1, pull_request_url="http://forge/1", files_changed=1,
        additions=2, deletions=1, sandbox_id="s1", sandbox_seconds=0.6,
    )  # fmt: skip
    facts: list[tuple[str, Sequence[Fact]]] = [
        ("task", (TaskSubmitted(assignment=asked, submitted_by="ann", deadline_at=NOON), TaskAssigned(pool="dev", attempt=1))),
        ("run", (RunClaimed(attempt=1, owner="one"), _phase(Phase.SANDBOX))),
        ("task", (TaskStarted(attempt=1),)),
        ("run", (SandboxReady(sandbox_id="s1", provider="local", isolation="bubblewrap"), _phase(Phase.CLONE))),
        ("run", (RepositoryCloned(branch="main", commit="c0ffee"), _phase(Phase.AGENT))),
        ("run", (AgentStarted(agent="command"),)),
        *(("output", said[first : first + each]) for first in range(0, talk, each)),
        ("run", (ChangesCommitted(branch="trunkline/fix-1", commit="c0ffee", files_changed=1, additions=2, deletions=1),)),
        ("run", (BranchPushed(branch="trunkline/fix-1", commit="c0ffee"), _phase(Phase.PR))),
        ("run", (PullRequestOpened(number=1, url="http://forge/1"), RunSucceeded(attempt=1, result=result))),
        ("task", (TaskSucceeded(result=result),)),
    ]
    return [(part, Record(at=NOON, facts=tuple(kept))) for part, kept in facts]


def _phase(phase: Phase) -> PhaseBegan:
    return PhaseBegan(phase=phase, message="It goes on.")
