"""However often a stream is cut, at whatever byte, and whichever gateway answers next: a reader that comes back misses nothing and hears
nothing twice. `make campaigns` cuts each kind of reader ten thousand times; `ARGS=-rP` shows what that came to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass
from random import Random

import pytest

from tests.campaigns import LONG, tries
from tests.flows.cut_jobs import JOBS, TASKS, Gateway, Job, Reader, Tally, calm, token, told_in_parts, world
from tests.unit.sdk.cutter import Cutter
from trunkline import AsyncClient, Client
from trunkline.contracts.ids import TaskId
from trunkline.sdk.calls import jobs, tasks
from trunkline.sdk.models.jobs import JobEvent
from trunkline.sdk.models.tasks import TaskEvent
from trunkline.sdk.sse import ServerEvent

pytestmark = [pytest.mark.flow, pytest.mark.timeout(1200 if LONG else 120)]

WAYS = (JOBS, "/api/pr-agent/{}/replay?speed=100", TASKS, "/tasks/task_{}/events?speed=100", JOBS)
Event = JobEvent | TaskEvent


async def test_no_cut_anywhere_loses_an_event_or_repeats_one() -> None:
    luck, tally, most = Random(5), Tally(), tries(300, 10_000)
    async with world() as (gateway, bus):
        earlier = await Job(bus, luck).begin()
        await earlier.live(0.0)
        while tally.cuts < most:
            job = await Job(bus, luck).begin()
            readers = [Reader(gateway, way.format(task), Random(luck.random())) for task in (job.task, earlier.task) for way in WAYS]
            async with asyncio.TaskGroup() as group:
                group.create_task(told_in_parts(gateway, job, luck))
                for reader in readers:
                    group.create_task(reader.read(luck.choice([2_000, 10_000, 40_000])))
            await check(gateway, readers, tally)
            earlier = job
    print("raw:", tally, "restarts:", gateway.restarts)
    assert gateway.restarts


async def check(gateway: Gateway, readers: list[Reader], tally: Tally) -> None:
    for reader in readers:
        whole = await calm(gateway, reader.path.partition("?")[0].replace("replay", "stream"))
        tally.cuts += reader.cuts
        tally.hold([id for id, _ in reader.seen], [id for id, _ in whole.seen])
        assert reader.seen == whole.seen, (reader.path, reader.cuts, tally)


async def test_no_cut_anywhere_makes_the_python_sdk_lose_an_event_or_repeat_one() -> None:
    luck, tally, most = Random(7), Tally(), tries(150, 10_000)
    async with world() as (gateway, bus), Cutter(gateway.at, 7, most=4000).serving() as way, AsyncClient(way.url, token=token()) as client:
        with Client(way.url, token=token()) as blocking:
            earlier = await Job(bus, luck, largest=10).begin()
            await earlier.live(0.0)
            while way.cuts < most:
                job = await Job(bus, luck, largest=10).begin()
                async with asyncio.TaskGroup() as group:
                    group.create_task(told_in_parts(gateway, job, luck))
                    readers = [group.create_task(one) for task in (job.task, earlier.task) for one in following(client, blocking, task)]
                await check_sdk(gateway, [reader.result() for reader in readers], tally)
                earlier = job
        tally.cuts = way.cuts
    print("Python SDK:", tally, "restarts:", gateway.restarts)


@dataclass
class Told:
    """What a stream of the SDK told, and where that can be read without it."""

    path: str
    events: list[JobEvent] | list[TaskEvent]


def following(client: AsyncClient, blocking: Client, task: TaskId) -> Iterator[Coroutine[None, None, Told]]:
    for stream in (client.jobs.stream(task), client.jobs.watch(task), client.jobs.replay(task, speed=100)):
        yield _job(JOBS.format(task), stream)
    for steps in (client.tasks.events(f"task_{task}"), client.tasks.events(f"task_{task}", speed=100)):
        yield _task(TASKS.format(task), steps)
    yield _waited(JOBS.format(task), blocking, task)


async def _job(path: str, stream: AsyncIterator[JobEvent]) -> Told:
    return Told(path, [event async for event in stream])


async def _task(path: str, stream: AsyncIterator[TaskEvent]) -> Told:
    return Told(path, [event async for event in stream])


async def _waited(path: str, blocking: Client, task: TaskId) -> Told:
    return Told(path, await asyncio.to_thread(lambda: list(blocking.jobs.stream(task))))


async def check_sdk(gateway: Gateway, told: list[Told], tally: Tally) -> None:
    """Also what the events hold is that of the calm way."""
    for path in {one.path for one in told}:
        whole = [ServerEvent(id, "", text.decode()) for id, text in (await calm(gateway, path)).seen]
        read = jobs.event if path.startswith("/api") else tasks.event
        for one in (one for one in told if one.path == path):
            tally.hold([event.id or "" for event in one.events], [came.id for came in whole])
            assert one.events == [read(came) for came in whole], (path, tally)
