"""The tutorial works as it is written: its shell blocks are run, one after the other, by a newcomer with an empty home."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import campaigns
from tests.architecture.source import ROOT
from trunkline.testing.nats import free_port

pytestmark = [pytest.mark.flow, pytest.mark.timeout(60)]
TUTORIAL = (ROOT / "docs" / "tutorial" / "first-task.md").read_text()
REPOSITORY, START, ASK, TAKE = re.findall(r"^```sh\n(.*?)^```", TUTORIAL, re.MULTILINE | re.DOTALL)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An empty home, the installed `trunkline` where the tutorial has it, and a port that is free."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "trunkline").symlink_to(Path(sys.executable).with_name("trunkline"))
    port = str(free_port())
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRUNKLINE_", "ORCHESTRATOR_", "GIT_", "ANTHROPIC_"))}
    return {**kept, "HOME": str(tmp_path), "TRUNKLINE_PORT": port, "TRUNKLINE_URL": f"http://127.0.0.1:{port}", "GIT_PAGER": "cat"}


@pytest.mark.skipif(not campaigns.LONG, reason="what the README shows is the same and shorter; `make campaigns` does it")
def test_the_tutorial_ends_with_the_change_in_ones_own_repository(tmp_path: Path, environment: dict[str, str]) -> None:
    shell(REPOSITORY, tmp_path, environment)
    with running(START, tmp_path, environment):
        told = shell(ASK, tmp_path, environment)
    assert "Mended README.md" in told
    assert "pull request #1" in told
    assert shell(TAKE, tmp_path, environment).endswith("the first line\n")
    forge = tmp_path / "try" / "forge" / "me" / "notes.git"
    assert shell(f"git --git-dir={forge} show main:README.md", tmp_path, environment) == "the first line\n"


def test_the_readme_works_when_it_is_copied(tmp_path: Path, environment: dict[str, str]) -> None:
    readme = (ROOT / "README.md").read_text().replace(":8787", f":{environment['TRUNKLINE_PORT']}")
    start, ask, route = re.findall(r"^```sh\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    with running(start.replace("make up", ".venv/bin/trunkline up"), tmp_path, environment):
        told = shell(ask, tmp_path, environment)
        waiting = shell(route, tmp_path, environment)
    assert '"type":"result"' in told.splitlines()[-2] + told.splitlines()[-1], told
    assert "/forge/local/acme/shop/pulls/1" in told
    assert "deployment (P1) for ops_agent: Deploy api v1.2.3" in waiting


def shell(block: str, folder: Path, environment: dict[str, str]) -> str:
    """What a block prints; it has to succeed."""
    done = subprocess.run(["bash", "-ec", block], cwd=folder, env=environment, capture_output=True, text=True, timeout=40)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def running(block: str, folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """The first terminal: ready when entered, ended by Ctrl-C when left."""
    environment = {**environment, "PYTHONUNBUFFERED": "1"}
    bash = shutil.which("bash")
    assert bash
    block = re.sub(r"^(\.venv/bin/trunkline up)", r"exec \1", block, flags=re.MULTILINE)
    with (folder / "up.log").open("w") as log:
        process = subprocess.Popen([bash, "-ec", block], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        assert "Trunkline is ready" in process.stdout.readline(), (folder / "up.log").read_text()
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(60) == 0
        finally:
            process.kill()
