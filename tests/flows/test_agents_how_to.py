"""The how-to of agents on NATS as it is written: its files tested with the kit, and run against `trunkline up`."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.architecture.source import ROOT
from trunkline.testing.stack import ONE_PROCESS, Stack, stack
from trunkline_cli.__main__ import main

pytestmark = [pytest.mark.flow, pytest.mark.timeout(120)]

PAGE = (ROOT / "docs" / "how-to" / "write-an-agent-on-nats.md").read_text()
FILES = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
OTHERS = """
from trunkline.sdk.testkit import Kit, run
import asyncio, careful, counter
assert run(counter.agent, "incident", {"upto": 2}).result == 2

async def story():
    async with Kit(careful.agent) as kit:
        task = kit.submit("feature")
        await task.until(lambda task: task.texts)
        task.cancel("a duplicate", by="ann")
        assert (await task.over()).status == "cancelled"

asyncio.run(story())
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    assert sorted(FILES) == ["careful.py", "counter.py", "fixer.py", "test_fixer.py"]
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_its_tests_pass_and_its_agents_do_as_they_are_said_to(place: Path) -> None:
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis", "test_fixer.py"]
    done = subprocess.run(words, cwd=place, capture_output=True, text=True, timeout=60)
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    done = subprocess.run([sys.executable, "-c", OTHERS], cwd=place, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "to end: cancelled by ann: a duplicate\n"), done.stderr


def test_its_commands_bring_a_task_to_its_end(place: Path) -> None:
    assert words_of("up --dev") == ["up", "--dev"]
    with stack({}, "--dev", *ONE_PROCESS) as running:
        said, here = {"TRUNKLINE_URL": running.url}, ("--data-dir", str(running.folder / "data"))
        token = trunkline(said, *words_of("token --subject fixer --role agent"), *here)
        agent = {**os.environ, **said, "TRUNKLINE_TOKEN": token.strip()}
        runner = subprocess.Popen([sys.executable, "-m", "trunkline_cli", *words_of("agent fixer:agent"), *here], cwd=place, env=agent)
        try:
            check_the_rest(running, {**said, "TRUNKLINE_API_KEY": key(running)})
            runner.send_signal(signal.SIGTERM)
            assert runner.wait(15) == 0
        finally:
            runner.kill()


def check_the_rest(running: Stack, said: Mapping[str, str]) -> None:
    assert """trunkline tasks create --type bugfix --payload '{"issue": "7"}'""" in PAGE
    made = trunkline(said, "tasks", "create", "--type", "bugfix", "--payload", '{"issue": "7"}')
    (task,) = re.findall(r"task_[0-9a-f]{32}|[0-9a-f-]{36}", made)[:1]
    asked = eventually(lambda: waiting(running))
    assert words_of("approve ID") == ["approve", "ID"]
    trunkline(said, "approve", asked["approval_id"])
    shown = eventually(lambda: _over(running, task))
    assert shown["status"] == "completed"


def _over(running: Stack, task: str) -> dict[str, Any] | None:
    _, shown = running.ask("GET", f"/tasks/{task}", None, key(running))
    return shown["task"] if shown["task"]["status"] in ("completed", "failed", "cancelled") else None


def waiting(running: Stack) -> dict[str, str] | None:
    _, page = running.ask("GET", "/approvals/pending", None, key(running))
    found = page["approvals"] if "approvals" in page else page["items"]
    return found[0] if found else None


def key(running: Stack) -> str:
    return (running.folder / "data" / "operator.key").read_text().strip()


def words_of(command: str) -> list[str]:
    """A command of the page."""
    assert f"trunkline {command}" in PAGE
    return command.split()


def trunkline(said: Mapping[str, str], *words: str) -> str:
    """In this process: what starting Python costs is no part of the page."""
    printed = io.StringIO()
    with mock.patch.dict(os.environ, said), contextlib.redirect_stdout(printed):
        assert main(words) == 0
    return printed.getvalue()


def eventually(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen within 40 s")
