"""Whatever is killed at whatever moment of a job: one branch, one pull request, one result, and a timeline without gap or repeat.

Every moment has three sides: before the effect, after the effect but before the record, after the record but before the
acknowledgement. `TRUNKLINE_KILLS=all` takes every victim at every side; without it whoever passes each moment at one of its sides, and
another at the next, in turns, so that every side and every victim comes up.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import requests

from tests import campaigns
from tests.flows.jobs import until
from tests.flows.reader import Reader, history, order
from trunkline.runtime.faults import MOMENTS, POINTS, SIDES
from trunkline.testing.repositories import make_bare
from trunkline.testing.stack import SERVICES, Stack, stack
from trunkline_sandbox.adapters.providers.local import kill_all

pytestmark = [pytest.mark.flow, pytest.mark.kill]

LINES = 12
AGENT = f"""
import sys, time
print("asked:", sys.stdin.read().strip(), flush=True)
for n in range({LINES}):
    print("line", n, flush=True)
    time.sleep(0.04)
open("answer.txt", "w").write("42\\n")
"""
ENVIRONMENT = {"TRUNKLINE_AGENT": "command", "TRUNKLINE_AGENT_COMMAND": f"python3 -c '{AGENT}'"}
OTHERS = ("nats-server", *SERVICES)
STRANGERS = ("router", "nats-server", "gateway", "relay", "approvals")
"""In turns; the sandbox service passes most points itself."""


def cases() -> list[tuple[str, str]]:
    """(point, victim): every point with everybody; else two sides of each moment, one with whoever passes it and one with another."""
    if campaigns.KILLS:
        return [(point, victim) for point in POINTS for victim in ("self", *OTHERS)]
    own, others = cycle(SIDES), cycle((*SIDES[1:], SIDES[0]))
    return [
        *((f"{moment}.{side}", "self") for moment, side in zip(MOMENTS, own, strict=False)),
        *((f"{moment}.{side}", victim) for moment, side, victim in zip(MOMENTS, others, cycle(STRANGERS), strict=False)),
    ]


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack(ENVIRONMENT) as running:
        yield running


@pytest.mark.parametrize(("point", "victim"), cases(), ids=lambda word: str(word))
@pytest.mark.timeout(150)
def test_a_kill_loses_nothing_and_repeats_nothing(running: Stack, point: str, victim: str) -> None:
    repo = f"acme/{point.replace('.', '-')}-{victim}".replace("_", "-")
    bare = make_bare(running.forge, repo, {"README.md": "sample\n"})
    running.await_ready()
    running.arm(point, victim)

    path = submitted(running, repo, bare)
    seen = Reader(running.url, path).start().join()

    until(lambda: not running.armed(point), 20, "the fault point was never passed")  # the last comes after the result was seen
    assert seen[-1].data["type"] == "result", seen[-1].data
    assert sum(one.data["type"] in ("result", "error") for one in seen) == 1
    assert exactly_one_branch_and_pull_request(bare) == seen[-1].data["result"]["commitSha"]
    ids = [order(one.id) for one in seen]
    assert ids == sorted(set(ids))
    assert [one.data["output"] for one in seen if one.data["type"] == "agent"] == spoken()
    assert history(running.url, path) == [(one.id, one.data) for one in seen]
    status, job = running.ask("GET", path.removesuffix("/stream"))
    assert (status, job["status"], job["prNumber"]) == (200, "success", 1)


def submitted(running: Stack, repo: str, bare: Path) -> str:
    """The stream of the job. Where the gateway dies with the answer on its tongue, the job is found by its branch."""
    try:
        answer = requests.post(f"{running.url}/api/pr-agent/execute", json={"repo": repo, "task": "what is the answer"}, timeout=30)
    except requests.ConnectionError:
        return f"/api/pr-agent/{task_of(bare)}/stream"
    assert answer.status_code == 200, answer.text
    path: str = answer.json()["streamUrl"]
    return path


def task_of(bare: Path) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for line in git(bare, "log", "--branches=trunkline/*", "--format=%(trailers:key=Trunkline-Task,valueonly)").split():
            return line
        time.sleep(0.1)
    raise TimeoutError("the job was not carried out")


def spoken() -> list[str]:
    return ["asked: what is the answer", *(f"line {n}" for n in range(LINES))]


def exactly_one_branch_and_pull_request(bare: Path) -> str:
    """The commit of the one branch; asserts that there is one of everything."""
    [branch] = [name for name in git(bare, "branch", "--format=%(refname:short)").split() if name != "main"]
    assert git(bare, "rev-list", "--count", f"main..{branch}").strip() == "1"
    assert git(bare, "show", f"{branch}:answer.txt") == "42\n"
    [record] = sorted((bare / "trunkline" / "pulls").glob("[0-9]*.json"))
    pull: dict[str, Any] = json.loads(record.read_text())
    assert (pull["number"], pull["head"], pull["base"]) == (1, branch, "main")
    return git(bare, "rev-parse", branch).strip()


def git(bare: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-c", "safe.directory=*", "--git-dir", str(bare), *words], capture_output=True, text=True, check=True, timeout=20
    ).stdout


def test_a_run_whose_machine_is_gone_is_done_again_elsewhere(running: Stack) -> None:
    bare = make_bare(running.forge, "acme/lost-machine", {"README.md": "sample\n"})
    running.await_ready()
    path = submitted(running, "acme/lost-machine", bare)
    reader = Reader(running.url, path).start()
    while not any(one.data["type"] == "agent" for one in reader.seen):
        time.sleep(0.02)
    boxes = running.folder / "data" / "sandbox" / "boxes"
    running.kill("sandbox")
    kill_all(boxes)
    shutil.rmtree(boxes)

    seen = reader.join()

    assert seen[-1].data["type"] == "result", seen[-1].data
    assert any("gone" in str(one.data.get("message")) for one in seen), "nobody said why it begins again"
    exactly_one_branch_and_pull_request(bare)
