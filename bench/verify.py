"""The row `verify`: the log compared with the book of its witness, beside the same log read and not looked at."""

from __future__ import annotations

import asyncio
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench import processes
from bench.figures import Figure, median
from bench.plan import Plan
from bench.services import NAMES
from trunkline.audit.book import Chained, open_book, read
from trunkline.audit.chain import GENESIS, digest, linked, tenant_of
from trunkline.audit.checking import Check
from trunkline.auth.audit_keys import audit_key
from trunkline.bus import Bus, BusSettings, connect
from trunkline.bus.reading import Reading, reading
from trunkline.contracts import subjects
from trunkline.contracts.record import Record
from trunkline.testing.nats import NatsServer

ENOUGH: Final = 200_000
IN_FLIGHT: Final = 200
Written = list[tuple[str, bytes]]


def measure(plan: Plan) -> list[Figure]:
    with processes.client() as client, processes.trunkline("one process", [NAMES]) as system:
        client.measure(system.kind, system.address, 4, 0.5)
        task = asyncio.run(_task_of(BusSettings(nats_url=system.server.url)))
    # A server of its own: the services of the other would hear all that is written now.
    with tempfile.TemporaryDirectory(prefix="trunkline-bench-") as folder:
        server = NatsServer(Path(folder))
        server.start()
        try:
            return asyncio.run(_measured(plan, BusSettings(nats_url=server.url), task))
        finally:
            server.kill()


async def _measured(plan: Plan, settings: BusSettings, task: Written) -> list[Figure]:
    async with connect(settings, "bench") as bus:
        tasks = 200 if plan.quick else 5_000
        plan.say(f"verify: {tasks} tasks of {len(task)} records are written")
        await _fill(bus, task, tasks)
    with tempfile.TemporaryDirectory(prefix="trunkline-bench-") as folder:
        async with reading(settings) as log:
            await _keep(log, Path(folder))
            checked, bare = [], []
            for round in range(plan.rounds):
                plan.say(f"verify: round {round + 1}/{plan.rounds}")
                checked.append(await _checked(log, Path(folder)))
                bare.append(await _bare(log))
    per_record = sum(len(Record.model_validate_json(body).facts) for _, body in task) / len(task)
    return _figures(median(checked), median(bare), per_record)


def _figures(checked: float, bare: float, per_record: float) -> list[Figure]:
    return [
        Figure("records of a task that ran, facts in each", per_record, ""),
        Figure("facts compared with the book", checked * per_record, "/s", f">= {ENOUGH}"),
        Figure("records compared with the book", checked, "/s"),
        Figure("the same records, read and not looked at", bare, "/s"),
        Figure("compared / not looked at", checked / bare, "ratio"),
    ]


async def _task_of(settings: BusSettings) -> Written:
    """All records of one task that is over, as they lie there."""
    found: dict[str, Written] = {}

    def take(_: int, subject: str, body: bytes) -> None:
        names = subjects.parse_event(subject)
        found.setdefault(names.task, []).append((names.part, body))

    async with reading(settings) as log:
        await log.all(take, 1, (await log.extent()).last)
    return max(found.values(), key=len)


async def _fill(bus: Bus, task: Written, count: int) -> None:
    hands = asyncio.Semaphore(IN_FLIGHT)

    async def one(number: int, part: str, body: bytes, index: int) -> None:
        subject = f"evt.tenant-{number % 3}.task-{number}.{part}"
        async with hands:
            await bus.log.say(subject, Record.model_validate_json(body), id=f"{number}-{index}")

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            for index, (part, body) in enumerate(task):
                group.create_task(one(number, part, body, index))
            await asyncio.sleep(0)


async def _keep(log: Reading, folder: Path) -> None:
    book, chained, heads = open_book(folder / "book", audit_key(folder / "key")), Chained(), dict[str, bytes]()

    def take(seq: int, subject: str, body: bytes) -> None:
        tenant, of_this = tenant_of(subject), digest(seq, subject, body)
        chained.heads[tenant] = heads[tenant] = linked(heads.get(tenant, GENESIS), of_this)
        chained.add(seq, of_this)

    extent = await log.extent()
    await log.all(take, extent.first, extent.last)
    at = datetime(2026, 11, 22, tzinfo=UTC)
    book.seal(chained, extent.life.epoch, at, at)


async def _checked(log: Reading, folder: Path) -> float:
    extent, began = await log.extent(), time.perf_counter()
    check = Check(read(folder / "book"))
    await log.all(check.record, extent.first, extent.last)
    if check.end() or check.compared != extent.last - extent.first + 1:
        raise RuntimeError(f"{check.compared} records compared, found {check.findings[:3]}")
    return check.compared / (time.perf_counter() - began)


async def _bare(log: Reading) -> float:
    extent, began = await log.extent(), time.perf_counter()
    await log.all(lambda seq, subject, body: None, extent.first, extent.last)
    return (extent.last - extent.first + 1) / (time.perf_counter() - began)
