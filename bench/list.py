"""The row `list`: pages of 100,000 tasks by each filter and in each order, and of 10,000 open approvals, asked over the bus."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import uvloop

from bench.figures import Figure, at
from bench.plan import Plan
from trunkline.bus import Bus, connect
from trunkline.contracts.approval import ApprovalPolicy
from trunkline.contracts.approval_views import ApprovalPage, ApprovalView, ListApprovals
from trunkline.contracts.message import Command
from trunkline.contracts.task import Assignment, Executor, Priority, TaskStatus
from trunkline.contracts.views import CountTasks, ListTasks, TaskPage, TaskSort, TaskView
from trunkline.testing.nats import nats_server
from trunkline_relay.adapters.sqlite_views import SqliteViews, open_views
from trunkline_relay.model.changes import Changes
from trunkline_relay.settings import Settings
from trunkline_relay.wiring import answering

NOON: Final = datetime(2026, 5, 1, 12, tzinfo=UTC)
TENANT: Final = "acme"
BATCH: Final = 1_000
SINGLE: Final[Mapping[str, Mapping[str, Any]]] = {
    "nothing": {},
    "status, most": {"statuses": ["succeeded"]},
    "status, few": {"statuses": ["in_progress"]},
    "two statuses": {"statuses": ["succeeded", "failed"]},
    "type": {"types": ["faq"]},
    "priority": {"priorities": ["P2"]},
    "pool": {"pool": "dev_agent"},
    "source": {"source": "user"},
    "submitter": {"submitted_by": "user3"},
    "parent": {"parent": f"{3:032x}"},
    "trace": {"trace_id": f"{7:032x}"},
    "range": {"submitted_from": NOON + timedelta(seconds=1_000), "submitted_before": NOON + timedelta(seconds=50_000)},
}
COMBINED: Final[Mapping[str, Mapping[str, Any]]] = {
    "status, type and pool": {"statuses": ["succeeded"], "types": ["faq"], "pool": "dev_agent"},
    "submitter and status": {"submitted_by": "user3", "statuses": ["failed"]},
    "type and source, no match": {"types": ["faq"], "source": "nobody"},
}


def measure(plan: Plan) -> list[Figure]:
    return uvloop.run(_measured(plan, 2_000 if plan.quick else 100_000, 500 if plan.quick else 10_000))


async def _measured(plan: Plan, tasks: int, approvals: int) -> list[Figure]:
    with nats_server() as server, tempfile.TemporaryDirectory(prefix="trunkline-bench-") as folder:
        settings = Settings(nats_url=server.url, data_dir=Path(folder))
        async with connect(settings, "relay") as bus:
            views = open_views(settings.views_file(), bus.epoch, 0)
            _fill(views, plan, tasks, approvals)
            async with answering(bus, bus.log, views, settings):
                figures = [*await _tasks(bus, plan), *await _approvals(bus), await _counts(bus)]
            figures += _folding(views)
            views.close()
    return figures


def _fill(views: SqliteViews, plan: Plan, tasks: int, approvals: int) -> None:
    plan.say(f"list: {tasks:,} tasks and {approvals:,} approvals")
    chance = random.Random(1)
    for first in range(0, tasks, BATCH):
        views.keep(Changes(tasks=[_task(number, chance) for number in range(first, first + BATCH)]), 0)
    for first in range(0, approvals, BATCH):
        views.keep(Changes(approvals=[_approval(number) for number in range(first, min(first + BATCH, approvals))]), 0)


def _task(number: int, chance: random.Random) -> TaskView:
    submitted = NOON + timedelta(seconds=number)
    assignment = Assignment(
        prompt="Fix the login bug. " * 10,
        type=chance.choice(("bugfix", "feature", "deployment", "refactor", "faq")),
        source=chance.choice(("user", "monitor", "agent")),
        priority=chance.choices(tuple(Priority), (2, 8, 60, 30))[0],
        parent=f"{number // 1000:032x}" if number % 3 == 0 else None,
        executor=Executor.BUS,
        payload={"environment": "production", "note": "y" * 100},
    )
    return TaskView(
        tenant=TENANT,
        task_id=f"{chance.getrandbits(128):032x}",
        assignment=assignment,
        submitted_by=f"user{chance.randrange(100)}",
        trace_id=f"{number // 5:032x}",
        status=chance.choices(tuple(TaskStatus), (50, 1, 1, 1, 800, 100, 47))[0],
        pool=chance.choice(("dev_agent", "ops_agent", "faq_agent")),
        submitted_at=submitted,
        updated_at=submitted + timedelta(seconds=chance.randrange(5_000)),
        seq=1,
    )


def _approval(number: int) -> ApprovalView:
    return ApprovalView(
        tenant=TENANT,
        task_id=f"{number:032x}",
        approval_id="release",
        kind="task",
        subject="Deploy the shop to production.",
        digest="d" * 64,
        requested_by=f"user{number % 100}",
        about={"type": "deployment", "priority": "P0"},
        policy=ApprovalPolicy(),
        requested_at=NOON + timedelta(seconds=number),
        seq=1,
    )


async def _tasks(bus: Bus, plan: Plan) -> list[Figure]:
    figures, single = [], list[float]()
    for name, filter in {**SINGLE, **COMBINED}.items():
        plan.say(f"list: by {name}")
        times = [took for sort in TaskSort for took in await _sorted(bus, plan, ListTasks(tenant=TENANT, at=NOON, sort=sort), filter)]
        single += times if name in SINGLE else []
        figures.append(Figure(f"by {name}: 20 tasks and total, p50", at(times, 0.5), "ms", "<= 50" if name in SINGLE else ""))
        figures.append(Figure(f"by {name}: 20 tasks and total, worst", max(times), "ms"))
    return [*figures, Figure("by any one filter: 20 tasks and total, p99", at(single, 0.99), "ms", "<= 50")]


async def _sorted(bus: Bus, plan: Plan, order: ListTasks, filter: Mapping[str, Any]) -> list[float]:
    """Milliseconds of the first page and of the one behind it, some times."""
    times = []
    for _ in range(3 * plan.rounds):
        query = ListTasks.model_validate({**order.model_dump(), **filter})
        took, body = await _asked(bus, query)
        times.append(took)
        if after := TaskPage.model_validate(body).next:
            times.append((await _asked(bus, query.model_copy(update={"after": after})))[0])
    return times


async def _approvals(bus: Bus) -> Sequence[Figure]:
    """All open ones, page by page."""
    times, met, after = [], 0, None
    while True:
        took, body = await _asked(bus, ListApprovals(tenant=TENANT, at=NOON, limit=100, after=after))
        page = ApprovalPage.model_validate(body)
        times.append(took)
        met += len(page.approvals)
        if (after := page.next) is None:
            break
    return (
        Figure("100 open approvals and total, p50", at(times, 0.5), "ms", "<= 50"),
        Figure("100 open approvals and total, worst", max(times), "ms"),
        Figure("open approvals met page by page", met, ""),
    )


async def _counts(bus: Bus) -> Figure:
    times = [(await _asked(bus, CountTasks(tenant="-", at=NOON)))[0] for _ in range(50)]
    return Figure("tasks of everybody counted, p50", at(times, 0.5), "ms", "<= 5")


def _folding(views: SqliteViews) -> Iterator[Figure]:
    """What one more task and one decision cost while so many are there."""
    chance = random.Random(2)
    made = (Changes(tasks=[_task(-number, chance)]) for number in range(1, 200))
    decided = (_approval(number).model_copy(update={"status": "approved", "decided_at": NOON}) for number in range(200))
    yield Figure("one more task folded and kept, p50", at(_kept(views, made), 0.5), "ms")
    yield Figure("one decision folded and kept, p50", at(_kept(views, (Changes(approvals=[view]) for view in decided)), 0.5), "ms")


def _kept(views: SqliteViews, changes: Iterable[Changes]) -> list[float]:
    times = []
    for one in changes:
        began = time.perf_counter()
        views.keep(one, 0)
        times.append((time.perf_counter() - began) * 1000)
    return times


async def _asked(bus: Bus, query: Command) -> tuple[float, Mapping[str, Any]]:
    began = time.perf_counter()
    async with asyncio.timeout(10):
        answer = await bus.commands.send("relay", "-", query)
    return (time.perf_counter() - began) * 1000, answer.body
