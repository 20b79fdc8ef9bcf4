"""The document's own samples, run as they are printed: requests with sseclient, and curl."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
import sseclient

from tests.dialects.pr_agent import stories
from tests.dialects.world import World, served

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")


@contextmanager
def gateway() -> Iterator[str]:
    """A gateway on another thread whose every job succeeds half a second after it came in."""
    ready, stop = threading.Event(), threading.Event()
    found: list[str] = []
    thread = threading.Thread(target=lambda: asyncio.run(_serve(found, ready, stop)))
    thread.start()
    try:
        assert ready.wait(10)
        yield found[0]
    finally:
        stop.set()
        thread.join(10)


async def _serve(found: list[str], ready: threading.Event, stop: threading.Event) -> None:
    world = World()
    async with served(world) as on, asyncio.TaskGroup() as group:
        found.append(on.url)
        ready.set()
        working = group.create_task(_work(world))
        while not stop.is_set():  # noqa: ASYNC110 (set by another thread)
            await asyncio.sleep(0.02)
        working.cancel()


async def _work(world: World) -> None:
    done: set[str] = set()
    while True:
        await asyncio.sleep(0.05)
        for task in {event.task for event in world.events} - done:
            done.add(task)
            for facts in stories.WHOLE:
                await asyncio.sleep(0.01)
                await world.say(task, *facts)


def test_the_python_sample_works() -> None:
    with gateway() as base:
        response = requests.post(f"{base}/api/pr-agent/execute", json={"repo": "myorg/myrepo", "task": "add tests"}, timeout=10)
        data = response.json()
        stream = requests.get(f"{base}{data['streamUrl']}", stream=True, timeout=10)
        client = sseclient.SSEClient(stream)  # type: ignore[arg-type]  # as the document prints it
        events = [(event.event, event.id, json.loads(event.data)) for event in client.events()]
    assert {name for name, _, _ in events} == {"message"}, "an event line would hide events from the client"
    assert len(events) == len({id for _, id, _ in events}) == 12
    assert events[-1][2]["result"]["prUrl"] == stories.PAGE


def curl(*words: str) -> str:
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", "10", *words], capture_output=True, text=True, timeout=15, check=True
    )
    return done.stdout


@needs_curl
def test_the_curl_sample_works() -> None:
    with gateway() as base:
        url = f"{base}/api/pr-agent"
        body = '{"repo":"myorg/myrepo","task":"add tests"}'
        job = json.loads(curl("-X", "POST", f"{url}/execute", "-H", "Content-Type: application/json", "-d", body))["jobId"]
        lines = [line for line in curl("-N", f"{url}/{job}/stream").split("\n") if line.startswith("data: ")]
        status: dict[str, Any] = json.loads(curl(f"{url}/{job}"))
    assert json.loads(lines[-1][6:])["type"] == "result"
    assert (status["status"], status["job"]["prUrl"]) == ("success", stories.PAGE)


@needs_curl
def test_curl_without_a_content_type_is_told_what_to_send() -> None:
    with gateway() as base:
        said = json.loads(curl(f"{base}/api/pr-agent/execute", "-d", '{"repo":"o/n","task":"t"}'))
    assert said["code"] == "UNSUPPORTED_MEDIA_TYPE"
    assert "application/json" in said["error"]
