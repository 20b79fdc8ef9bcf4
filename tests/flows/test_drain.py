"""Stopping and starting the real stack in the middle of work, what it refuses to start on, and a disk that is full."""

from __future__ import annotations

import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import requests

from tests import campaigns
from tests.flows.jobs import ACTING, WORK, Job, facts, living, outputs, submit, until
from trunkline.contracts.run import RunClaimed
from trunkline.testing.repositories import git, make_bare
from trunkline.testing.stack import ONE_PROCESS, Stack, stack

pytestmark = [pytest.mark.flow, pytest.mark.timeout(120)]

ENVIRONMENT = {"TRUNKLINE_AGENT": "command", "TRUNKLINE_AGENT_COMMAND": ACTING}
LINES = 60
COUNTING = f"import time\nfor n in range({LINES}): print('line', n, flush=True); time.sleep(0.05)\nopen('done.txt', 'w').write('done')\n"


HOW = {"SIGTERM split": (("--split",), signal.SIGTERM), "Ctrl-C": (ONE_PROCESS, signal.SIGINT)}


@pytest.mark.parametrize(("flags", "number"), list(HOW.values())[: campaigns.tries(1, 2)], ids=list(HOW)[: campaigns.tries(1, 2)])
def test_a_stop_in_the_middle_of_work_is_clean_and_the_work_goes_on_at_the_next_start(flags: tuple[str, ...], number: int) -> None:
    with stack(ENVIRONMENT, *flags, cold="--split" in flags) as running:
        mark = f"mark-{secrets.token_hex(6)}"
        bare = make_bare(running.forge, "acme/app", {"README.md": "sample\n"})
        make_bare(running.forge, "acme/other", {"README.md": "sample\n"})
        job = submit(running, "acme/app", f"# {mark}\n{COUNTING}")
        job.await_said("line 5")
        assert running.process
        family = psutil.Process(running.process.pid).children(recursive=True)
        with half_a_request(running.port) as half, submitting(running, "acme/other") as taken:
            until(lambda: taken, 10)
            began = time.monotonic()
            code = running.stop(number)
            took = time.monotonic() - began
            assert not half.recv(100).startswith(b"HTTP/1.1 200")

        print(f"stopped in {took:.2f} s; {len(taken)} jobs were taken meanwhile")
        assert (code, took < 20) == (0, True), running.log()[-3000:]
        assert [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE] == []
        assert living(mark) == [] and living(str(running.folder)) == []
        assert not listens(running.port)
        assert "Traceback" not in running.log() and "bus.disconnected" not in running.log()

        running.cold = False
        running.start()
        result = job.succeeded()
        for id in taken:  # what was acknowledged is carried out
            assert Job(running, "acme/other", id).end()["type"] == "result"

        assert git(bare, "rev-list", "--count", "--all") == "2" and result["prNumber"] == 1
        said = outputs(job.reader.seen)
        assert said[-LINES:] == [f"line {n}" for n in range(LINES)], said
        assert job.reader.reconnects >= 2
        assert len({fact.owner for fact in facts(running, job.id) if isinstance(fact, RunClaimed)}) == 2


def test_a_second_stack_on_the_same_data_and_a_taken_port_are_refused_and_the_first_goes_on() -> None:
    with stack(ENVIRONMENT) as running:
        assert running.process
        second = refused(running, running.folder / "data", 0)
        assert second.returncode == 2 and f"process {running.process.pid}" in second.stderr

        third = refused(running, running.folder / "elsewhere", running.port)
        assert third.returncode == 2 and "is in use" in third.stderr and "--port" in third.stderr

        make_bare(running.forge, "acme/app", {"README.md": "sample\n"})
        submit(running, "acme/app", WORK).succeeded()


def test_running_without_isolation_is_said_at_the_start_and_as_soon_as_a_job_begins() -> None:
    with stack(ENVIRONMENT, "--split", "--unsafe-local") as running:
        assert "WARNING: --unsafe-local: agents run WITHOUT ISOLATION" in running.log()
        make_bare(running.forge, "acme/app", {"README.md": "sample\n"})
        job = submit(running, "acme/app", WORK)
        job.succeeded()
        told = [one.data["message"] for one in job.reader.seen if one.data.get("phase") == "sandbox"]
        assert "--unsafe-local" in told[0] and "WITHOUT ISOLATION" in told[1]


def test_a_full_disk_is_answered_with_503_loses_nothing_and_is_over_once_there_is_room() -> None:
    with stack(ENVIRONMENT) as running:
        running.stop()
        with small_disk(running.folder / "data", "200m"):
            running.start()
            make_bare(running.forge, "acme/app", {"README.md": "sample\n"})
            before = submit(running, "acme/app", WORK)
            before.succeeded()
            filler = fill(running.folder / "data")

            taken, refusal = submissions(running, 8)
            assert (refusal.status_code, "disk" in refusal.json()["error"]) == (503, True), refusal.text
            assert refusal.headers["Retry-After"] and not running.healthy()
            filler.unlink()
            until(lambda: "its disk was full and has room again" in running.log(), 20, "nats-server is not started anew")
            running.await_ready()

            assert running.ask("GET", before.path)[1]["status"] == "success"
            for id in taken:  # what was acknowledged is there and ends
                until(lambda path=f"/api/pr-agent/{id}": running.ask("GET", path)[1]["status"] in ("success", "failed"), 30, id)
            make_bare(running.forge, "acme/after", {"README.md": "sample\n"})
            submit(running, "acme/after", WORK).succeeded()
            running.stop()


def submissions(running: Stack, most: int) -> tuple[list[str], requests.Response]:
    """Submit until refused: the ids of what was taken, and the refusal."""
    taken: list[str] = []
    for _ in range(most):
        answer = requests.post(f"{running.url}/api/pr-agent/execute", json={"repo": "acme/app", "task": WORK}, timeout=40)
        if answer.status_code != 200:
            return taken, answer
        taken.append(answer.json()["jobId"])
    raise AssertionError(f"{most} jobs were taken though the disk is full")


def refused(running: Stack, data: Path, port: int) -> subprocess.CompletedProcess[str]:
    """`trunkline up` that ends by itself."""
    argv = [str(word) for word in (sys.executable, "-m", "trunkline_cli", "up", "--data-dir", data, "--port", port)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False, cwd=running.folder)


@contextmanager
def half_a_request(port: int) -> Iterator[socket.socket]:
    """A request whose body never comes whole."""
    head = b"POST /api/pr-agent/execute HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"
    with socket.create_connection(("127.0.0.1", port), 5) as request:
        request.sendall(head)
        yield request


@contextmanager
def submitting(running: Stack, repo: str, most: int = 6) -> Iterator[list[str]]:
    """Submits one job after the other, to the last moment; gives the ids of those that were taken."""
    taken: list[str] = []

    def submit_on() -> None:
        with suppress(requests.RequestException):
            while len(taken) < most:
                answer = requests.post(f"{running.url}/api/pr-agent/execute", json={"repo": repo, "task": WORK}, timeout=10)
                if answer.status_code != 200:
                    return
                taken.append(answer.json()["jobId"])
                time.sleep(0.05)

    thread = threading.Thread(target=submit_on, daemon=True)
    thread.start()
    yield taken
    thread.join(15)


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
        return True
    return False


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of its own at `folder`, gone afterwards. Skips where that is not allowed."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"NOT TESTED, a full disk: this user may not mount ({mounted.stderr.strip()})")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    """A file that takes all the room that is left."""
    filler = folder / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(b"x" * (1 << 16)):
            pass
    return filler
