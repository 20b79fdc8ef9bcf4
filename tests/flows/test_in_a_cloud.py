"""A task from its submission to its pull request with its sandbox in an emulated cloud, by the real SDK."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.flows.jobs import ACTING, WORK, submit, until
from trunkline.testing import fake_daytona, fake_e2b
from trunkline.testing.fake_daytona import FakeDaytona
from trunkline.testing.fake_e2b import FakeE2b
from trunkline.testing.nats import free_port
from trunkline.testing.repositories import git, make_bare
from trunkline.testing.stack import ONE_PROCESS, stack

pytestmark = [pytest.mark.flow, pytest.mark.timeout(120)]


@contextmanager
def serving(fake: FakeDaytona | FakeE2b) -> Iterator[None]:
    """From a thread of its own."""
    up, over = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with fake.serving():
            up.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert up.wait(20)
        yield
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(20)
        loop.close()


@contextmanager
def daytona(root: Path) -> Iterator[FakeDaytona]:
    fake = FakeDaytona(root)
    with serving(fake):
        yield fake


def test_a_task_at_daytona_ends_in_a_pull_request_and_leaves_nothing_there(tmp_path: Path) -> None:
    with daytona(tmp_path) as fake:
        _at("daytona", fake, {"DAYTONA_API_KEY": fake_daytona.KEY, "DAYTONA_API_URL": fake.url})


def test_a_task_at_e2b_ends_in_a_pull_request_and_leaves_nothing_there(tmp_path: Path) -> None:
    fake = FakeE2b(tmp_path)
    with serving(fake):
        port = free_port()
        door = {"TRUNKLINE_MODEL_DOOR_URL": f"http://127.0.0.1:{port}", "TRUNKLINE_MODEL_DOOR_PORT": str(port)}
        _at("e2b", fake, {"E2B_API_KEY": fake_e2b.KEY, "E2B_API_URL": fake.url, "E2B_SANDBOX_URL": fake.url, **door})


def _at(name: str, fake: FakeDaytona | FakeE2b, reached: Mapping[str, str]) -> None:
    fake.faults.arm("create", "lost")
    fake.faults.arm("logs", "cut")
    environment = {"TRUNKLINE_AGENT": "command", "TRUNKLINE_AGENT_COMMAND": ACTING, "TRUNKLINE_SANDBOX": name}
    with stack({**environment, **reached}, *ONE_PROCESS) as running:
        bare = make_bare(running.forge, "acme/app", {"README.md": "sample\n"})
        job = submit(running, "acme/app", WORK)
        if door := reached.get("TRUNKLINE_MODEL_DOOR_URL"):
            assert requests.post(f"{door}/v1/messages", json={}, headers={"x-api-key": "a stranger's"}, timeout=10).status_code == 401
        result = job.succeeded()
        assert result["prNumber"] == 1 and git(bare, "rev-list", "--count", "--all") == "2"
        assert all(f"step {n}" in job.said for n in range(5))
        until(lambda: not fake.boxes, 20)
        assert next(iter(reached.values())) not in running.log()
        assert fake.seen.count("create") == 1 and "delete" in fake.seen
