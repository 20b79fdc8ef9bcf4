"""The sandboxes of the emulated E2B, as its API tells of them."""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pydantic import JsonValue

from trunkline.testing.fake_cloud.places import Place

VERSION = "0.6.8"
"""Of the daemon inside, as far as the SDK asks for it."""


@dataclass(slots=True)
class Box:
    """One sandbox. `ready_at` is of the monotonic clock."""

    place: Place
    id: str
    body: Mapping[str, JsonValue]
    ready_at: float
    key: str = ""
    state: str = "running"
    lies: bool = False
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    commands: dict[int, asyncio.subprocess.Process] = field(default_factory=dict)

    @property
    def metadata(self) -> dict[str, str]:
        said = self.body.get("metadata")
        return {name: str(value) for name, value in said.items()} if isinstance(said, dict) else {}

    @property
    def up(self) -> bool:
        return self.state == "running" and time.monotonic() >= self.ready_at

    def key_told(self) -> dict[str, JsonValue]:
        """With the key of its door, as to who made it or connects to it."""
        return {
            "templateID": str(self.body.get("templateID") or "base"), "sandboxID": self.id, "clientID": "c-1", "envdVersion": VERSION,
            "envdAccessToken": self.token, "domain": None,
        }  # fmt: skip

    def listed(self) -> dict[str, JsonValue]:
        seconds = self.body.get("timeout")
        ends = self.began + timedelta(seconds=seconds if isinstance(seconds, int) else 300)
        return {
            "templateID": str(self.body.get("templateID") or "base"), "sandboxID": self.id, "clientID": "c-1",
            "startedAt": _iso(self.began), "endAt": _iso(ends), "cpuCount": 2, "memoryMB": 512, "diskSizeMB": 1024,
            "state": "running" if self.lies else self.state, "envdVersion": VERSION, "metadata": dict(self.metadata),
        }  # fmt: skip

    def rest(self) -> None:
        """With its memory: its programs stand still."""
        self.state = "paused"
        self.place.signal(signal.SIGSTOP)

    def wake(self) -> None:
        if self.state == "paused":
            self.state = "running"
            self.place.signal(signal.SIGCONT)


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
