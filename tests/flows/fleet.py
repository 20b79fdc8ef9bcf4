"""Three nats-servers in one cluster and two of each service, each a process of its own, for tests that kill them and count."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from trunkline.auth.nkeys import Issuer, new_seed
from trunkline.bus.settings import BusSettings
from trunkline.testing import warm
from trunkline.testing.nats import NatsServer, free_port, nats_cluster
from trunkline.testing.warm import Forked

SERVICES = ("router", "approvals", "sandbox", "relay", "gateway")
EACH = 2
NAMES = tuple(f"{service}-{number}" for number in range(EACH) for service in SERVICES)
READY_WITHIN = 45.0
GONE_WITHIN = 8.0
BACK_WITHIN = 10.0
MEMORY = Path("/dev/shm")
"""Where the logs lie if it is there: two thousand files on a disk take longer to make and to remove than all the rest."""


@dataclass
class Fleet:
    """Replicas are called `router-0`, `router-1` and so on."""

    folder: Path
    nodes: list[NatsServer]
    seed: str
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in NAMES if name.startswith("gateway")})
    running: dict[str, Forked | subprocess.Popen[bytes]] = field(default_factory=dict)
    earlier: dict[str, Path] = field(default_factory=dict)
    """Replicas that run out of the tree of an earlier version."""

    @property
    def bus(self) -> BusSettings:
        return BusSettings(nats_url=",".join(node.url for node in self.nodes), replicas=len(self.nodes))

    @property
    def gateways(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.ports.values()]

    def start(self, *names: str) -> None:
        """Start these and wait until each says that it is ready. Raises RuntimeError with its log."""
        heads = {name: self._said(name) for name in names}
        for name in names:
            with self._log(name).open("ab") as log:
                self.running[name] = self._started(name, log)
        for name in names:
            if self._words(name)[0] == "bench.services":  # says nothing
                continue
            self._await(lambda name=name: self._said(name) > heads[name], READY_WITHIN, name)  # type: ignore[misc]

    def kill(self, *names: str) -> None:
        self._end(names, signal.SIGKILL)

    def drain(self, *names: str) -> None:
        """SIGTERM to these, which leave of themselves and say that all is well."""
        for name, code in self._end(names, signal.SIGTERM).items():
            assert code == 0, f"{name} left with {code}:\n{self.tail(name)}"

    def _end(self, names: Sequence[str], number: int) -> dict[str, int]:
        for name in names:
            self.running[name].send_signal(number)
        return {name: self.running[name].wait(GONE_WITHIN) for name in names}

    def gone(self) -> list[str]:
        """Which ended though nobody asked them to, each with the end of its log."""
        return [f"{name}: {self.tail(name)}" for name, process in self.running.items() if process.poll() is not None]

    def leader(self, stream: str) -> NatsServer:
        """Who leads it now. Raises AssertionError when nobody does for long."""
        found: list[NatsServer] = []

        def known() -> bool:
            found[:] = [node for node in self.nodes if node.name == self._leader(stream)]
            return bool(found)

        self._await(known, READY_WITHIN, f"nobody leads {stream}")
        return found[0]

    def await_whole(self) -> None:
        """Every node holds again all that the others do."""
        self._await(lambda: all(_told(node, "healthz") for node in self.nodes), READY_WITHIN, "a node lags behind")

    def await_connected(self) -> None:
        """Each service has all its connections."""
        lines = [f"{service}{more}" for service in SERVICES for more in ("", "-inlet") if f"{service}{more}" != "gateway-inlet"]
        self._await(lambda: all(self._lines()[line] >= EACH for line in lines), BACK_WITHIN, f"a connection is lost: {self._lines()}")

    def _lines(self) -> Counter[str]:
        """How many connections there are by each name."""
        told = [(_told(node, "connz?limit=1000") or {}).get("connections") or [] for node in self.nodes]
        return Counter(str(each.get("name")) for some in told for each in some)

    def stop(self) -> None:
        for process in self.running.values():
            process.kill()

    def _leader(self, stream: str) -> str:
        for node in self.nodes:
            for account in (_told(node, "jsz?streams=true&accounts=true") or {}).get("account_details") or []:
                for each in account.get("stream_detail") or []:
                    if each["name"] == stream and (leader := str(each.get("cluster", {}).get("leader", ""))):
                        return leader
        return ""

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def tail(self, name: str) -> str:
        """The end of its log."""
        return self._log(name).read_text()[-3000:] if self._log(name).exists() else ""

    def _said(self, name: str) -> int:
        return self._log(name).read_text().count("is ready") if self._log(name).exists() else 0

    def _started(self, name: str, log: IO[bytes]) -> Forked | subprocess.Popen[bytes]:
        if tree := self.earlier.get(name):
            paths = [tree, tree / "libs", tree / "cli", *(tree / "services" / service for service in SERVICES)]
            environment = {**self._environment(name), "PYTHONPATH": ":".join(str(path) for path in paths)}
            return subprocess.Popen([sys.executable, "-m", *self._words(name)], env=environment, stdout=log, stderr=log, cwd=tree)
        return warm.start(self._words(name), self._environment(name), log)

    def _words(self, name: str) -> list[str]:
        service = name.partition("-")[0]
        if service == "sandbox" and name in self.earlier:
            return ["bench.services", self.bus.nats_url, "0", "sandbox"]
        if service == "sandbox":
            return ["tests.flows.fleet_sandbox", self.bus.nats_url, str(self.folder / name)]
        port = ["--port", str(self.ports[name])] if service == "gateway" else []
        return ["trunkline_cli", "serve", service, "--data-dir", str(self.folder / "data"), "--accept-unsafe-nats", *port]

    def _environment(self, name: str) -> Mapping[str, str]:
        said = {"TRUNKLINE_NATS_URL": self.bus.nats_url, "TRUNKLINE_REPLICAS": str(len(self.nodes)), "TRUNKLINE_RATE_LIMITS": "off"}
        said |= {"TRUNKLINE_NATS_CALLOUT_SEED": self.seed} if name.startswith("gateway") else {}
        said |= {"TRUNKLINE_RELAY_INSTANCE": name} if name.startswith("relay") else {}
        return {**os.environ, **said}

    def _await(self, true: Any, seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            process = self.running.get(what)
            assert time.monotonic() < deadline and not (process and process.poll()), f"{what}, within {seconds} s:\n{self.tail(what)}"
            time.sleep(0.05)


def _told(node: NatsServer, path: str) -> dict[str, Any] | None:
    """What a node says of itself; None when it is away or unwell."""
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{node.monitor}/{path}", timeout=2) as answer:
        said: dict[str, Any] = json.load(answer)
        return said
    return None


@contextmanager
def fleet(*names: str, earlier: Mapping[str, Path] | None = None) -> Iterator[Fleet]:
    """These, else all of it, ready; ended and removed at the end, whatever happened."""
    seed = new_seed()
    with (
        tempfile.TemporaryDirectory(prefix="trunkline-fleet-", ignore_cleanup_errors=True) as folder,
        nats_cluster(3, Issuer.of(seed).public, MEMORY if MEMORY.is_dir() else None) as nodes,
    ):
        made = Fleet(Path(folder), nodes, seed, earlier=dict(earlier or {}))
        try:
            made.start(*(names or NAMES))
            yield made
        finally:
            made.stop()
