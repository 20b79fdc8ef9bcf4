"""The samples of the pr_agent document for curl and for Python, as it prints them, on the whole product."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.flows.reader import history
from tests.flows.samples import AGENT
from trunkline.testing.repositories import make_bare
from trunkline.testing.stack import ONE_PROCESS, Stack, stack

pytestmark = [pytest.mark.flow, pytest.mark.timeout(120)]

CLIENTS = Path(__file__).parent / "clients"
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine: its samples are not tried")
needs_jq = pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not on this machine: the sample that needs it is not tried")


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack({**AGENT, "TRUNKLINE_RATE_LIMITS": "off"}, *ONE_PROCESS) as started:
        make_bare(started.forge, "myorg/myrepo", {"README.md": "A repository.\n"})
        yield started


def said(words: list[str], running: Stack, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRUNKLINE_")}
    done = subprocess.run(
        words, env={**kept, "BASE": running.url, **environment}, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The whole story of a job that succeeded, as another reader has it; its result."""
    [job] = {event["jobId"] for event in events}
    phases = [event["phase"] for event in events if event["type"] == "status" and event.get("phase")]
    assert list(dict.fromkeys(phases)) == ["sandbox", "clone", "agent", "push", "pr"]
    assert any(event["type"] == "agent" for event in events)
    assert [event["type"] for event in events if event["type"] in ("result", "error")] == ["result"] == [events[-1]["type"]]
    result: dict[str, Any] = events[-1]["result"]
    assert result["success"] and result["prUrl"].endswith(str(result["prNumber"]))
    assert result["filesChanged"] == 1 and result["fixBranch"] and len(result["commitSha"]) == 40
    return {"jobId": job, **result}


def events_of(stream: str) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("data: ")) for line in stream.splitlines() if line.startswith("data: ")]


def test_the_python_sample_works(running: Stack) -> None:
    told = said([sys.executable, str(CLIENTS / "pr_agent_sample.py")], running)
    events = [json.loads(line) for line in told.splitlines()]
    result = check(events)
    assert [event for _, event in history(running.url, f"/api/pr-agent/{result['jobId']}/stream")] == events


@needs_curl
@needs_jq
def test_the_curl_sample_works(running: Stack) -> None:
    result = check(events_of(said(["bash", "-e", str(CLIENTS / "pr_agent_execute.sh")], running)))
    status, job = running.ask("GET", f"/api/pr-agent/{result['jobId']}")
    assert status == 200 and job["status"] == "success"
    assert (job["prUrl"], job["commitSha"], job["repoFullName"]) == (result["prUrl"], result["commitSha"], "myorg/myrepo")


@needs_curl
def test_the_documents_other_curl_commands_work(running: Stack) -> None:
    _, accepted = running.ask("POST", "/api/pr-agent/execute", {"repo": "myorg/myrepo", "task": "add tests"})
    told = said(["bash", "-e", str(CLIENTS / "pr_agent_reading.sh")], running, JOB_ID=accepted["jobId"]).splitlines()
    created, job = json.loads(told[0]), json.loads(told[1])
    assert created["streamUrl"] == f"/api/pr-agent/{created['jobId']}/stream"
    assert job["id"] == job["job"]["id"] == accepted["jobId"]
    assert check(events_of("\n".join(told[2:])))["jobId"] == accepted["jobId"]
