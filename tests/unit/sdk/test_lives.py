"""How clients live and end: interrupted, never closed, forked off, moved to another gateway, shared by threads."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

from tests.dialects.pr_agent import stories
from tests.dialects.world import World, served
from tests.unit.sdk.cutter import Cutter, cutting
from trunkline import AsyncClient, Client
from trunkline.contracts.task import TaskSucceeded

WITHIN = 30.0
BEGIN = "import os, sys\nfrom trunkline import Client\nclient = Client(sys.argv[1])\njob = client.jobs.execute('o/n', 't').job_id\n"


async def ran(url: str, program: str) -> tuple[int, str, str]:
    """How a program of a user ends, and what it says."""
    command = [sys.executable, "-c", BEGIN + program, url]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=WITHIN, env=os.environ.copy())
    return done.returncode, done.stdout, done.stderr


async def test_a_child_that_was_forked_off_asks_with_a_thread_of_its_own() -> None:
    program = (
        "child = os.fork()\n"
        "if not child:\n"
        "    print(client.jobs.get(job).status, flush=True)\n"
        "    os._exit(0)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    async with served(World()) as gateway:
        assert await ran(gateway.url, program) == (0, "pending\n", "")


async def test_a_program_that_closes_nothing_ends_without_a_word() -> None:
    async with served(World()) as gateway:
        assert await ran(gateway.url, "print(next(client.jobs.stream(job)).type)\nstream = client.jobs.stream(job)\nnext(stream)\n") == (
            0, "status\n", "",
        )  # fmt: skip


async def test_an_interrupt_ends_the_wait_for_an_event() -> None:
    program = (
        "stream = client.jobs.stream(job)\nnext(stream)\n"
        "try:\n    print('waiting', flush=True)\n    next(stream)\n"
        "except KeyboardInterrupt:\n    print('interrupted', client.jobs.get(job).status, flush=True)\n"
    )
    async with served(World()) as gateway:
        command = (sys.executable, "-W", "error", "-c", BEGIN + program, gateway.url)
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout and process.stderr
        async with asyncio.timeout(WITHIN):
            assert await process.stdout.readline() == b"waiting\n"
            process.send_signal(signal.SIGINT)
            said, noise = await process.communicate()
    assert (process.returncode, said, noise) == (0, b"interrupted pending\n", b"")


async def test_a_gateway_that_stops_in_order_does_not_end_the_stream() -> None:
    world = World()
    async with served(world) as second, AsyncExitStack() as first, Cutter("", 1).serving() as way, AsyncClient(way.url) as client:
        way.mercy, way.upstream = True, (await first.enter_async_context(served(world))).url
        job = (await client.jobs.execute("o/n", "t")).job_id
        stream = client.jobs.stream(job)
        told = [await anext(stream)]
        way.upstream = second.url
        await first.aclose()
        for facts in stories.STARTED:
            await world.say(world.events[0].task, *facts)
        told.append(await anext(stream))
        await world.say(world.events[0].task, TaskSucceeded(result=stories.result()))
        told += [event async for event in stream]
        assert told == [event async for event in client.jobs.stream(job)]
    assert told[-1].type == "result"


async def test_threads_share_a_client() -> None:
    world = World()

    def act(url: str) -> list[str]:
        with Client(url) as client, ThreadPoolExecutor(8) as threads:
            jobs = list(threads.map(lambda number: client.jobs.execute("o/n", f"{number}").job_id, range(24)))
            return [job.id for job in threads.map(client.jobs.get, jobs)]

    async with served(world) as gateway:
        found = await asyncio.to_thread(act, gateway.url)
    assert len(set(found)) == 24


async def test_more_streams_than_a_pool_of_connections_has_keep_no_call_waiting() -> None:
    world = World()
    async with served(world) as gateway, AsyncClient(gateway.url, timeout=WITHIN) as client:
        job = (await client.jobs.execute("o/n", "t")).job_id
        streams = [client.jobs.stream(job) for _ in range(120)]
        for stream in streams:
            await anext(stream)
        assert (await client.jobs.get(job)).status == "pending"
        for stream in streams:
            await stream.aclose()


def test_an_asynchronous_client_may_be_used_in_one_loop_after_the_other() -> None:
    world = World()

    async def ask(client: AsyncClient, way: Cutter) -> str:
        async with served(world) as gateway:
            way.upstream = gateway.url
            found = (await client.jobs.execute("o/n", "t")).job_id
            await client.close()
            return found

    with cutting("", seed=1) as way:
        way.mercy = True
        client = AsyncClient(way.url)
        assert asyncio.run(ask(client, way)) != asyncio.run(ask(client, way))
