"""The processes of a bench: started, measured, and ended whatever happens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from trunkline.testing.nats import NatsServer, free_port, nats_server

READY: Final = 60.0
ROOT: Final = Path(__file__).parent.parent
MIB: Final = 1 << 20
APART: Final = (("gateway",), ("router",), ("approvals", "sandbox", "relay"))
"""Services by process, where what a gateway or a router costs is a figure of its own."""


@contextmanager
def python(*words: str, talking: bool = False) -> Iterator[subprocess.Popen[str]]:
    """A Python child running a module; killed at the end. Its log goes to stderr only when BENCH_DEBUG is set."""
    noise = None if os.environ.get("BENCH_DEBUG") else subprocess.DEVNULL
    pipe = subprocess.PIPE if talking else subprocess.DEVNULL
    child = subprocess.Popen([sys.executable, "-m", *words], stdin=pipe, stdout=pipe, stderr=noise, text=True, cwd=ROOT)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


@dataclass(frozen=True, slots=True)
class Client:
    """The process that makes the load."""

    child: subprocess.Popen[str]

    def measure(self, kind: str, address: str | int, in_flight: int, seconds: float) -> dict[str, Any]:
        assert self.child.stdin and self.child.stdout
        wish = {"kind": kind, "address": address, "in_flight": in_flight, "seconds": seconds}
        self.child.stdin.write(json.dumps(wish) + "\n")
        self.child.stdin.flush()
        answer = self.child.stdout.readline()
        if not answer:
            raise RuntimeError("the client broke; run again with BENCH_DEBUG=1 to see why")
        heard: dict[str, Any] = json.loads(answer)
        return heard


@contextmanager
def client() -> Iterator[Client]:
    with python("bench.client", talking=True) as child:
        yield Client(child)


@dataclass(frozen=True, slots=True)
class System:
    """Something that carries tasks: a nats-server and the processes that are measured."""

    name: str
    kind: str
    address: str | int
    server: NatsServer
    children: Sequence[subprocess.Popen[str]]

    def processor(self) -> tuple[float, float]:
        """Seconds of processor so far: ours, and nats-server's."""
        assert self.server.process is not None
        return sum(spent(child.pid) for child in self.children), spent(self.server.process.pid)

    def memory(self) -> float:
        """Bytes resident in all processes but nats-server."""
        return float(sum(psutil.Process(child.pid).memory_info().rss for child in self.children))


def spent(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


@contextmanager
def floor(name: str, way: str) -> Iterator[System]:
    with nats_server() as server, python("bench.floor", server.url, way) as child:
        yield System(name, "floor", server.url, server, [child])


@contextmanager
def trunkline(name: str, groups: Sequence[Sequence[str]], within: Path | None = None) -> Iterator[System]:
    """Our services, one process a group, up and healthy; the log lies `within`, else where files for a while do."""
    port = free_port()
    with nats_server(within) as server, ExitStack() as stack:
        children = [stack.enter_context(python("bench.services", server.url, str(port), *group)) for group in groups]
        await_health(port, children)
        yield System(name, "trunkline", port, server, children)


def await_health(port: int, children: Sequence[subprocess.Popen[str]]) -> None:
    deadline = time.monotonic() + READY
    while time.monotonic() < deadline and all(child.poll() is None for child in children):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the services did not come up; run again with BENCH_DEBUG=1 to see why")
