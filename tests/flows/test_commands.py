"""The commands on the real services: a task by `run --watch`, its end by `cancel`, the whole by `demo`, and their exit codes."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.flows.stand_ins import Command, trunkline, until
from trunkline_cli import sample
from trunkline_cli.sockets import free_port

pytestmark = [pytest.mark.flow, pytest.mark.timeout(90)]
SLEEPS = shlex.join(["python3", "-c", "import time; print('sleeping', flush=True); time.sleep(600)"])


@pytest.fixture
def up(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Command]:
    """A real stack whose agent is the parameter, with the sample repository in its forge."""
    sample.make(tmp_path / "data" / "forge")
    env = {"TRUNKLINE_AGENT": "command", "TRUNKLINE_AGENT_COMMAND": request.param}
    command = trunkline(None, "up", "--port", "0", "--data-dir", tmp_path / "data", **env)
    command.await_line("is ready at", 30)
    yield command
    code, seconds = command.stop()
    assert (code, seconds < 20) == (0, True), command


def url_of(up: Command) -> str:
    return next(word for word in up.await_line("is ready at").split() if word.startswith("http://"))


@pytest.mark.parametrize("up", [sample.agent_command()], indirect=True, ids=["sample agent"])
def test_a_task_is_run_and_watched_to_its_pull_request(up: Command) -> None:
    run = trunkline(None, "run", sample.REPO, sample.TASK, "--watch", TRUNKLINE_URL=url_of(up))
    assert run.process.wait(60) == 0, run
    run.await_line("pull request #1", 20)

    again = trunkline(None, "watch", run.lines[0], "--url", url_of(up))
    assert again.process.wait(60) == 0
    until(lambda: again.lines == run.lines[1:], 20, again)


@pytest.mark.parametrize("up", [SLEEPS], indirect=True, ids=["sleeping agent"])
def test_a_cancelled_task_ends_its_agent_and_its_watcher_with_one(up: Command) -> None:
    run = trunkline(None, "run", sample.REPO, "sleep", "--watch", TRUNKLINE_URL=url_of(up))
    run.await_line("sleeping", 30)
    began = time.monotonic()
    cancel = trunkline(None, "cancel", run.lines[0], "--reason", "seen enough", "--url", url_of(up))
    assert cancel.process.wait(60) == 0, cancel
    assert run.process.wait(60) == 1, run
    run.await_line("seen enough", 20)
    until(lambda: not _sleepers(), 10)
    print(f"from `cancel` to the watcher's end: {time.monotonic() - began:.1f} s")


@pytest.mark.parametrize("up", [SLEEPS], indirect=True, ids=["sleeping agent"])
def test_stopping_the_stack_ends_the_agents_too(up: Command) -> None:
    run = trunkline(None, "run", sample.REPO, "sleep", "--watch", TRUNKLINE_URL=url_of(up))
    run.await_line("sleeping", 30)
    assert _sleepers()
    code, seconds = up.stop()
    assert (code, seconds < 10) == (0, True), up
    assert not _sleepers()
    run.process.kill()


def _sleepers() -> list[int]:
    return [each.pid for each in psutil.process_iter(["cmdline"]) if "time.sleep(600)" in " ".join(each.info["cmdline"] or [])]


def test_a_gateway_that_does_not_answer_is_exit_code_three() -> None:
    cancel = trunkline(None, "cancel", "0" * 32, "--url", f"http://127.0.0.1:{free_port()}")
    assert cancel.process.wait(60) == 3
    cancel.await_line("trunkline up", 20)


def test_a_command_that_does_not_exist_is_exit_code_two() -> None:
    command = trunkline(None, "upp")
    assert command.process.wait(60) == 2


def test_the_doctor_finds_what_is_needed(tmp_path: Path) -> None:
    doctor = trunkline(None, "doctor", "--data-dir", tmp_path / "data")
    assert doctor.process.wait(30) == 0, doctor
    assert "2.15" in doctor.await_line("nats-server", 20)


def test_the_demo_goes_all_the_way_and_leaves_nothing(tmp_path: Path) -> None:
    before = {each.pid for each in psutil.process_iter()}
    demo = trunkline(None, "demo", TMPDIR=str(tmp_path))
    assert demo.process.wait(80) == 0, demo
    demo.await_line("fail on main, pass on the branch", 20)
    demo.await_line("pull request #1", 20)
    assert os.listdir(tmp_path) == []
    left = [
        each
        for each in psutil.process_iter(["cmdline"])
        if each.pid not in before and str(tmp_path) in " ".join(each.info["cmdline"] or [])
    ]
    assert left == []


def test_the_demo_with_a_real_model_needs_a_key() -> None:
    demo = trunkline(None, "demo", "--agent", "claude")
    assert demo.process.wait(60) == 2
    demo.await_line("ANTHROPIC_API_KEY", 20)
