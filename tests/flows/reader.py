"""A client that follows a job as a user's would: it reconnects by `Last-Event-ID` until the job ends, and keeps all it saw."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.request import Request, urlopen

LAST = ("result", "error")
WITHIN = 60.0


@dataclass
class Seen:
    """One event as it came."""

    id: str
    data: dict[str, Any]
    at: float


@dataclass
class Reader:
    """Follows in a thread of its own; `seen` grows while it runs."""

    base: str
    path: str
    seen: list[Seen] = field(default_factory=list)
    reconnects: int = 0
    bearer: str = ""

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def start(self) -> Reader:
        self._thread.start()
        return self

    @property
    def ended(self) -> bool:
        return bool(self.seen) and self.seen[-1].data["type"] in LAST

    def join(self) -> list[Seen]:
        """All events, the last one included. Raises TimeoutError."""
        self._thread.join(WITHIN)
        if not self.ended:
            raise TimeoutError(f"no end of {self.path} after {WITHIN} s: {[(one.id, one.data.get('message')) for one in self.seen[-5:]]}")
        return self.seen

    def _follow(self) -> None:
        deadline = time.monotonic() + WITHIN
        while not self.ended and time.monotonic() < deadline:
            try:
                self._read()
            except (OSError, HTTPException):
                time.sleep(0.05)
            self.reconnects += 1

    def _read(self) -> None:
        headers = {"Last-Event-ID": self.seen[-1].id} if self.seen else {}
        headers |= {"Authorization": f"Bearer {self.bearer}"} if self.bearer else {}
        # Not `requests`: it hands out a living stream byte by byte, and some tests read megabytes.
        with urlopen(Request(self.base + self.path, headers=headers), timeout=20) as answer:
            id = ""
            for line in answer:
                if line.startswith(b"id: "):
                    id = line[4:].decode().rstrip("\n")
                elif line.startswith(b"data: "):
                    self.seen.append(Seen(id, json.loads(line[6:]), time.monotonic()))


def history(base: str, path: str, bearer: str = "") -> list[tuple[str, dict[str, Any]]]:
    """The whole stream of a job that is over, as a late reader gets it."""
    reader = Reader(base, path, bearer=bearer).start()
    return [(one.id, one.data) for one in reader.join()]


def order(id: str) -> tuple[int, int]:
    """Sorts event ids as they come: by sequence, then by index."""
    seq, _, index = id.partition("-")[2].partition(".")
    return int(seq), int(index or 0)
