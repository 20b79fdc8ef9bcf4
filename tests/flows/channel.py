"""A page that hears the channel `tasks`: it comes back by the id of what it heard last, and keeps all it heard."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.request import Request, urlopen

WITHIN = 60.0


@dataclass
class Hearer:
    """Listens in a thread of its own from `start` on, until `stop`."""

    base: str
    frames: list[dict[str, Any]] = field(default_factory=list)
    came: int = 0
    """How often it came in."""

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._stopped = threading.Event()
        self._ticket = self._asked()

    def start(self) -> Hearer:
        self._thread.start()
        deadline = time.monotonic() + WITHIN
        while not self.came:
            assert time.monotonic() < deadline, "the channel does not open"
            time.sleep(0.01)
        return self

    def stop(self) -> None:
        """Does not wait for what it reads at the moment: it ends with the process."""
        self._stopped.set()

    def of(self, task: str) -> list[dict[str, Any]]:
        """What was said of a caller's task, in the order it came."""
        return [frame for frame in tuple(self.frames) if frame["data"]["taskId"] == task]

    def until_over(self, task: str) -> list[dict[str, Any]]:
        """All of it, the status DONE included."""
        deadline = time.monotonic() + WITHIN
        while "DONE" not in [frame["data"].get("status") for frame in self.of(task)]:
            assert time.monotonic() < deadline, f"not over: {self.of(task)}"
            time.sleep(0.02)
        return self.of(task)

    def _asked(self) -> str:
        """From now on: what is said while it is away at first, it hears too."""
        wish = [{"channel": "tasks", "name": name, "kind": "run", "since": int(time.time() * 1000)} for name in ("update", "status")]
        asked = Request(f"{self.base}/v1/realtime/token", json.dumps(wish).encode(), {"Content-Type": "application/json"})
        with urlopen(asked, timeout=20) as answer:
            return str(json.loads(answer.read())["jwt"])

    def _follow(self) -> None:
        while not self._stopped.is_set():
            try:
                self._read()
            except (OSError, HTTPException):
                time.sleep(0.05)

    def _read(self) -> None:
        headers = {"Last-Event-ID": self.frames[-1]["stream_id"]} if self.frames else {}
        with urlopen(Request(f"{self.base}/v1/realtime/sse?token={self._ticket}", headers=headers), timeout=40) as answer:
            self.came += 1
            for line in answer:
                if line.startswith(b"data: "):
                    self.frames.append(json.loads(line[6:]))
                if self._stopped.is_set():
                    return
