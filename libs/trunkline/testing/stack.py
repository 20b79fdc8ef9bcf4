"""The whole product as a user starts it, every service its own process, for tests that kill and watch from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil

from trunkline.runtime.faults import DIRECTORY
from trunkline.testing import warm
from trunkline.testing.nats import free_port, stores
from trunkline.testing.warm import Forked

SERVICES = ("gateway", "router", "approvals", "sandbox", "relay")
READY_WITHIN = 60.0
ONE_PROCESS = ("--log-level", "warning")
"""Flags for `stack` where nothing is killed: all services in one process, which starts with a quarter of the work."""


@dataclass
class Stack:
    """A running `trunkline up --split`, its folder and its address. It counts nobody unless the environment says so."""

    folder: Path
    environment: Mapping[str, str]
    flags: tuple[str, ...] = ("--split",)
    port: int = field(default_factory=free_port)
    cold: bool = False
    """Started as by a shell, where a test is about just that; else out of a process that has imported everything."""
    process: subprocess.Popen[bytes] | Forked | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def forge(self) -> Path:
        return self.folder / "forge"

    @property
    def faults(self) -> Path:
        return self.folder / "faults"

    def start(self) -> None:
        """Start and wait until ready. Raises RuntimeError with the log when it does not come up."""
        self.faults.mkdir(exist_ok=True)
        words = ["trunkline_cli", "up", "--port", str(self.port), "--data-dir", str(self.folder / "data"), *self.flags]
        ours = {"TRUNKLINE_FORGE_ROOT": str(self.forge), "TRUNKLINE_RATE_LIMITS": "off", DIRECTORY: str(self.faults)}
        environment = {**os.environ, **ours, **self.environment}
        with (self.folder / "log").open("ab") as log:
            self.process = (_cold if self.cold else warm.start)(words, environment, log, self.folder)
        self.await_ready()

    def await_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                break
            if self.healthy():
                return
            time.sleep(0.05)
        raise RuntimeError(f"the stack did not come up:\n{self.log()[-4000:]}")

    def healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def pid(self, name: str) -> int:
        """Process id of a service, or of `nats-server`. Raises LookupError when it does not run now."""
        assert self.process is not None
        for child in psutil.Process(self.process.pid).children(recursive=True):
            if _is(child, name):
                return child.pid
        raise LookupError(name)

    def kill(self, name: str) -> None:
        os.kill(self.pid(name), signal.SIGKILL)

    def arm(self, point: str, victim: str = "self") -> None:
        """When a service next passes `point`, kill the victim: `self`, or a service by name."""
        target = victim if victim == "self" else str(self.pid(victim))
        draft = self.faults / f".{point}"
        draft.write_text(target)
        draft.rename(self.faults / point)

    def armed(self, point: str) -> bool:
        return (self.faults / point).exists()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop as a user would; returns the exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(20)

    def ask(self, method: str, path: str, body: object = None, bearer: str = "") -> tuple[int, Any]:
        """One HTTP request with a JSON answer; an answer that is a refusal is an answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as refusal:
            return refusal.code, json.loads(refusal.read())


def _cold(words: Sequence[str], environment: Mapping[str, str], log: IO[bytes], folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", *words], env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=folder)


def _is(process: psutil.Process, name: str) -> bool:
    try:
        words = process.cmdline()
    except psutil.Error:
        return False
    if name == "nats-server":
        return bool(words) and Path(words[0]).name.startswith("nats-server")
    return "serve" in words and name in words


@contextmanager
def stack(environment: Mapping[str, str], *flags: str, cold: bool = False) -> Iterator[Stack]:
    """A started stack in a folder of its own; stopped and removed at the end, whatever happened."""
    with tempfile.TemporaryDirectory(prefix="trunkline-stack-", ignore_cleanup_errors=True) as folder, _stored(Path(folder) / "data"):
        os.chmod(folder, 0o755)  # sandboxes run as users of their own and must be able to pass through
        running = Stack(Path(folder), environment, flags or ("--split",), cold=cold)
        try:
            running.start()
            yield running
        finally:
            _end(running)


@contextmanager
def _stored(data: Path) -> Iterator[None]:
    """The store of its nats-server, where stores lie."""
    with tempfile.TemporaryDirectory(prefix="trunkline-store-", dir=stores(), ignore_cleanup_errors=True) as store:
        for folder in (data, data / "nats"):
            folder.mkdir(mode=0o700)
        (data / "nats" / "store").symlink_to(store)
        yield


def _end(running: Stack) -> None:
    try:
        running.stop()
    except subprocess.TimeoutExpired:
        running.stop(signal.SIGKILL)
