"""A client of a running stack that submits a job and follows it as a user's would, noting when each event came."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Final

from trunkline.testing.repositories import make_bare
from trunkline.testing.stack import Stack, stack

REPO: Final = "bench/sample"
SAMPLE: Final = {"README.md": "A sample.\n", "cart.py": "total = 1\n"}
STALE: Final = 5.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One event and the wall clock when it came, in seconds."""

    id: str
    data: dict[str, Any]
    at: float


@dataclass
class Job:
    """A submitted job, followed in a thread that comes back by `Last-Event-ID` until the job ends or `left`."""

    port: int
    path: str
    sent_at: float
    seen: list[Seen] = field(default_factory=list)
    left: bool = False

    def follow(self) -> Job:
        threading.Thread(target=self._follow, daemon=True).start()
        return self

    def until(self, true: Callable[[Seen], bool], seconds: float = 60.0) -> Seen:
        """The first event for which `true` holds. Raises TimeoutError, and RuntimeError when the job failed."""
        deadline, done = time.monotonic() + seconds, 0
        while time.monotonic() < deadline:
            for one in self.seen[done:]:
                done += 1
                if true(one):
                    return one
                if one.data["type"] == "error":
                    raise RuntimeError(f"the job failed: {one.data}")
            time.sleep(0.002)
        raise TimeoutError(f"nothing came for {seconds} s; the last was {self.seen[-1:]}")

    def result(self, seconds: float = 60.0) -> Seen:
        return self.until(lambda one: one.data["type"] == "result", seconds)

    @property
    def _over(self) -> bool:
        return self.left or (bool(self.seen) and self.seen[-1].data["type"] in ("result", "error"))

    def _follow(self) -> None:
        while not self._over:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=STALE)
            try:
                self._read(connection)
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)
            finally:
                connection.close()

    def _read(self, connection: http.client.HTTPConnection) -> None:
        connection.request("GET", self.path, headers={"Last-Event-ID": self.seen[-1].id} if self.seen else {})
        answer = connection.getresponse()
        if answer.status != 200:
            raise OSError(f"the stream answered {answer.status}")
        id = ""
        while not self._over and (line := answer.readline()):
            if line.startswith(b"id: "):
                id = line[4:].decode().strip()
            elif line.startswith(b"data: "):
                self.seen.append(Seen(id, json.loads(line[6:]), time.time()))


def submit(running: Stack, task: str = "bench") -> Job:
    """Raises RuntimeError when refused."""
    sent = time.time()
    status, body = running.ask("POST", "/api/pr-agent/execute", {"repo": REPO, "task": task})
    if status != 200:
        raise RuntimeError(f"execute answered {status}: {body}")
    return Job(running.port, body["streamUrl"], sent).follow()


@contextmanager
def real_stack(agent: str, *flags: str, **more: str) -> Iterator[Stack]:
    """`trunkline up` with a sample repository; `agent` is the command of the agent. Flags: `--split`, else one process. `more` is set in
    the environment."""
    environment = {"TRUNKLINE_AGENT": "command", "TRUNKLINE_AGENT_COMMAND": agent, "HOME": gettempdir()}
    with stack({**environment, **more}, *(flags or ("--log-level", "warning")), cold=True) as running:
        make_bare(Path(running.forge), REPO, SAMPLE)
        yield running
