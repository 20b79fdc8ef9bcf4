"""The Python SDK on a running stack: jobs to their pull requests over connections that are cut, and the how-to as it is written."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from uuid import UUID

import pytest

from tests.architecture.source import ROOT
from tests.flows.jobs import ACTING
from tests.unit.sdk.cutter import Cutter, cutting
from trunkline import AsyncClient, Client
from trunkline.sdk.models.jobs import AgentEvent, JobEvent, ResultEvent
from trunkline.sdk.models.tasks import TaskEvent
from trunkline.testing.repositories import make_bare
from trunkline.testing.stack import ONE_PROCESS, Stack, stack

pytestmark = [pytest.mark.flow, pytest.mark.timeout(120)]

PAGE = (ROOT / "docs" / "how-to" / "use-the-python-sdk.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
LINES = 150
WORK = f"""
import time
for n in range({LINES}):
    print(f'line {{n:03}}', flush=True)
    time.sleep(0.01)
open('done.txt', 'w').write('done')
"""
"""Lines that come one by one, so that most cuts fall between them."""


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    environment = {"TRUNKLINE_AGENT": "command", "TRUNKLINE_AGENT_COMMAND": ACTING}
    with stack(environment, *ONE_PROCESS) as running:
        make_bare(running.forge, "me/notes", {"README.md": "teh first line\n"})
        yield running


def key(running: Stack) -> str:
    return (running.folder / "data" / "operator.key").read_text().strip()


def check(events: list[JobEvent], job: str, running: Stack) -> None:
    """All that was told over a bad way is what a good one tells, and it ends with a pull request."""
    with Client(running.url, api_key=key(running)) as client:
        assert events == list(client.jobs.stream(job))
    assert isinstance(events[-1], ResultEvent) and events[-1].result.pr_url
    told = "".join(event.output or "" for event in events if isinstance(event, AgentEvent))
    assert re.findall(r"line (\d+)", told) == [f"{number:03}" for number in range(LINES)]


def test_a_job_reaches_its_pull_request_over_a_way_that_breaks_all_the_time(running: Stack) -> None:
    with cutting(running.url, seed=1, fewest=400, most=4000) as way, Client(way.url, api_key=key(running)) as client:
        job = client.jobs.execute("me/notes", WORK).job_id
        events = list(client.jobs.stream(job))
        state = client.jobs.get(job)
    check(events, job, running)
    assert (state.status, state.pr_url) == ("success", events[-1].result.pr_url if isinstance(events[-1], ResultEvent) else "")
    assert way.cuts > 5, "the way was too good to prove anything"


async def test_several_asynchronous_readers_of_both_surfaces_see_all_of_it(running: Stack) -> None:
    async with Cutter(running.url, 2, 400, 4000).serving() as way, AsyncClient(way.url, api_key=key(running)) as client:
        job = (await client.jobs.execute("me/notes", WORK)).job_id
        async with asyncio.TaskGroup() as group:
            jobs = [group.create_task(_jobs(client, job)) for _ in range(2)]
            task = group.create_task(_task(client, f"task_{UUID(job).hex}"))
    async with AsyncClient(running.url, api_key=key(running)) as calm:
        assert task.result() == await _task(calm, f"task_{UUID(job).hex}")
    for reader in jobs:
        await asyncio.to_thread(check, reader.result(), job, running)
    assert way.cuts > 10, "the way was too good to prove anything"


async def _jobs(client: AsyncClient, job: str) -> list[JobEvent]:
    return [event async for event in client.jobs.stream(job)]


async def _task(client: AsyncClient, task: str) -> list[TaskEvent]:
    return [event async for event in client.tasks.events(task)]


def test_asking_over_a_bad_way_makes_each_task_once(running: Stack) -> None:
    with cutting(running.url, seed=3, fewest=100, most=5000) as way, Client(way.url, api_key=key(running)) as client:
        made = {client.tasks.create("documentation", {"number": number}, trace_id="once-only").task_id for number in range(12)}
    with Client(running.url, api_key=key(running)) as client:
        assert sorted(task.task_id for task in client.tasks.list(trace_id="once-only", page_size=5)) == sorted(made)
    assert len(made) == 12
    assert way.cuts > 0, "the way was too good to prove anything"


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_how_to_works_as_it_is_written(running: Stack, number: int) -> None:
    block = BLOCKS[number].replace("Mend the spelling in README.md", "open('README.md', 'w').write('the first line')")
    environment = {**os.environ, "TRUNKLINE_URL": running.url, "TRUNKLINE_API_KEY": key(running)}
    environment.pop("TRUNKLINE_TOKEN", None)
    done = subprocess.run([sys.executable, "-W", "error", "-c", block], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert SAYS[number] in done.stdout


SAYS = ("pull request: http", "result", "task.cancelled", "NOT_FOUND 404", "(400, b'')")


def test_every_block_of_the_how_to_is_run() -> None:
    assert len(BLOCKS) == len(SAYS)
