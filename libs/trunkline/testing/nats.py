"""A real nats-server for tests: its own folder, a free port, always-sync as in production."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trunkline.bus.accounts import CONTROL_USER, accounts

PASSWORD: Final = "of-a-test"
STORES: Final = "TRUNKLINE_TEST_STORES"
"""Where servers of tests keep what they store, /dev/shm say: a test kills processes and no machines, and a synced write takes a disk a
while. Empty or not set: where files for a while are kept, so that what is measured waits for a disk as it would for a user."""
ROOM: Final = 2 << 30
"""Bytes that have to be free there."""


_KEPT: Final[list[socket.socket]] = []
"""Bound and not listening, until this process ends: no connection that passes is given a port of ours before its server listens."""


def free_port() -> int:
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("127.0.0.1", 0))
    _KEPT.append(probe)
    port: int = probe.getsockname()[1]
    return port


def binary() -> str:
    """nats-server beside this interpreter, else in PATH. Raises RuntimeError with the remedy."""
    beside = Path(sys.prefix) / "bin" / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if not found:
        raise RuntimeError("nats-server not found: run make setup")
    return found


@dataclass
class NatsServer:
    """A server that may be killed and started again on the same port and store."""

    folder: Path
    port: int = field(default_factory=free_port)
    monitor: int = field(default_factory=free_port)
    """Where it tells what it did, by HTTP."""
    name: str = "test"
    cluster: str = ""
    """The cluster block of its configuration, where it is one of several."""
    issuer: str = ""
    """Public key of whoever vouches for agents; without one there are no accounts, and anybody may do anything."""
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """As services reach it."""
        return f"nats://{CONTROL_USER}:{PASSWORD}@127.0.0.1:{self.port}" if self.issuer else self.open_url

    @property
    def open_url(self) -> str:
        """Without anybody's credentials."""
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        config = self.folder / "nats.conf"
        config.write_text(
            f"server_name: {self.name}\nhost: 127.0.0.1\nport: {self.port}\nmax_payload: 2MB\n"
            f"http: '127.0.0.1:{self.monitor}'\n"
            f"jetstream {{ store_dir: '{self.folder / 'store'}', sync_interval: always, max_file_store: 4GB }}\n"
            "feature_flags { js_ack_fc_v2: false }\n"
            f"{self.cluster}\n"
            f"{accounts(PASSWORD, PASSWORD, self.issuer) if self.issuer else ''}"
        )
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen([binary(), "-c", str(config)], stdout=log, stderr=log)
        self._await()

    def _await(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                return
            if self.process is None or self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError((self.folder / "log").read_text()[-2000:])

    def sent(self) -> tuple[int, int]:
        """Messages and bytes that it gave to its clients since it began."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.monitor}/varz", timeout=10) as answer:
            said = json.load(answer)
        return said["out_msgs"], said["out_bytes"]

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self.process and self.process.poll() is None:
            os.kill(self.process.pid, number)
            self.process.wait(20)


def stores() -> Path | None:
    """The place that is named for stores, if there is room."""
    place = os.environ.get(STORES, "")
    with suppress(OSError):
        if place and os.access(place, os.W_OK) and shutil.disk_usage(place).free > ROOM:
            return Path(place)
    return None


@contextmanager
def nats_server(within: Path | None = None, issuer: str = "") -> Iterator[NatsServer]:
    """A started server with its folder `within`, else where stores lie; stopped and removed at the end."""
    with tempfile.TemporaryDirectory(prefix="trunkline-nats-", dir=within or stores()) as folder:
        server = NatsServer(Path(folder), issuer=issuer)
        server.start()
        try:
            yield server
        finally:
            server.kill(signal.SIGKILL)


@contextmanager
def nats_cluster(size: int, issuer: str = "", within: Path | None = None) -> Iterator[list[NatsServer]]:
    """Several servers that hold one log between them, `within` a folder or one that is made for it; stopped at the end."""
    routes = [free_port() for _ in range(size)]
    known = ", ".join(f"nats-route://127.0.0.1:{port}" for port in routes)
    with tempfile.TemporaryDirectory(prefix="trunkline-nats-", dir=within or stores()) as folder, ExitStack() as running:
        servers = []
        for number, port in enumerate(routes):
            (Path(folder) / str(number)).mkdir()
            block = f"cluster {{ name: test, listen: '127.0.0.1:{port}', routes: [{known}] }}"
            servers.append(NatsServer(Path(folder) / str(number), name=f"n{number}", cluster=block, issuer=issuer))
            running.callback(servers[-1].kill, signal.SIGKILL)
            servers[-1].start()
        yield servers
