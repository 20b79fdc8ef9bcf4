"""The clients that the orchestrator document teaches, for Python and for Node, at work on the whole product."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trunkline.testing.stack import ONE_PROCESS, Stack, stack

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.timeout(240)]

CLIENTS = Path(__file__).parents[1] / "dialects" / "orchestrator" / "clients"
SECRET = "a secret of thirty-two bytes or more"
SETTINGS = {"ORCHESTRATOR_JWT_SECRET": SECRET, "TRUNKLINE_RATE_LIMITS": "off"}
NODE_NEEDS = ("package.json", "package-lock.json", "sample.js")


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack(SETTINGS, *ONE_PROCESS) as started:
        yield started


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the Node sample and what it stands on."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not on this machine: the Node sample is not tried")
    folder = tmp_path_factory.mktemp("node")
    for name in NODE_NEEDS:
        shutil.copy(CLIENTS / name, folder)
    words = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]
    try:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not bring axios and jsonwebtoken within two minutes: the Node sample is not tried")
    if done.returncode:
        pytest.skip(f"npm cannot bring axios and jsonwebtoken: the Node sample is not tried ({done.stderr[-300:]})")
    return folder


def said(words: list[str], running: Stack, folder: Path) -> dict[str, Any]:
    done = subprocess.run([*words, running.url, SECRET], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def check(said: dict[str, Any]) -> None:
    """What both samples lived through."""
    id = said["task"]["task_id"]
    assert said["task"]["success"] is True
    assert said["task"]["task"]["assigned_agent"] == "dev_agent"
    assert said["moved"] == {"success": True, "task_id": id, "status": "in_progress"}
    assert [event["event_type"] for event in said["events"]] == ["task.started", "task.noted", "task.started"]
    assert said["failed"]["status"] == said["read"]["task"]["status"] == "failed"
    assert said["read"]["task"]["error"] == "no disk"
    assert said["gated"]["requires_approval"] is True
    assert said["approved"]["message"] == "Approved by agent-user"
    assert said["missing"] == 404
    assert said["pending"] >= 1


def test_the_python_sample_works(running: Stack) -> None:
    check(said([sys.executable, str(CLIENTS / "sample.py")], running, CLIENTS))


def test_the_node_sample_works(running: Stack, node: Path) -> None:
    check(said(["node", "sample.js"], running, node))
