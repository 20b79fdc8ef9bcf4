"""A task from its submission to its pull request with its sandbox at an emulated Daytona, by the real SDK."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.flows.jobs import ACTING, WORK, submit, until
from trunkline.testing.fake_daytona import KEY, FakeDaytona
from trunkline.testing.repositories import git, make_bare
from trunkline.testing.stack import ONE_PROCESS, stack

pytestmark = [pytest.mark.flow, pytest.mark.timeout(120)]


@contextmanager
def daytona(root: Path) -> Iterator[FakeDaytona]:
    """One that serves from a thread of its own."""
    fake, up, over = FakeDaytona(root), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with fake.serving():
            up.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert up.wait(20)
        yield fake
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(20)
        loop.close()


def test_a_task_at_daytona_ends_in_a_pull_request_and_leaves_nothing_there(tmp_path: Path) -> None:
    with daytona(tmp_path) as fake:
        fake.faults.arm("create", "lost")
        fake.faults.arm("logs", "cut")
        environment = {"TRUNKLINE_AGENT": "command", "TRUNKLINE_AGENT_COMMAND": ACTING, "TRUNKLINE_SANDBOX": "daytona"}
        with stack({**environment, "DAYTONA_API_KEY": KEY, "DAYTONA_API_URL": fake.url}, *ONE_PROCESS) as running:
            bare = make_bare(running.forge, "acme/app", {"README.md": "sample\n"})
            job = submit(running, "acme/app", WORK)
            result = job.succeeded()
            assert result["prNumber"] == 1 and git(bare, "rev-list", "--count", "--all") == "2"
            assert all(f"step {n}" in job.said for n in range(5))
            until(lambda: not fake.boxes, 20)
            assert KEY not in running.log() and fake.seen.count("create") == 1 and "delete" in fake.seen
