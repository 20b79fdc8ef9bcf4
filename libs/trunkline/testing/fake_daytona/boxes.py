"""The sandboxes of the emulated Daytona, as its API tells of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import JsonValue

from trunkline.testing.fake_cloud.places import Place

STDOUT, STDERR = b"\x01\x01\x01", b"\x02\x02\x02"


@dataclass(slots=True)
class Command:
    """A command of a session, with all it said."""

    id: str
    text: str
    log: list[bytes] = field(default_factory=list)
    more: asyncio.Event = field(default_factory=asyncio.Event)
    exit: int | None = None
    running: asyncio.subprocess.Process | None = None

    def say(self, data: bytes) -> None:
        self.log.append(data)
        self.wake()

    def wake(self) -> None:
        self.more.set()
        self.more = asyncio.Event()


@dataclass(slots=True)
class Box:
    """One sandbox. `ready_at` is of the monotonic clock."""

    place: Place
    body: Mapping[str, JsonValue]
    ready_at: float
    id: str
    state: str = "creating"
    lies: bool = False
    created: str = field(default_factory=lambda: _now())
    sessions: dict[str, dict[str, Command]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.body.get("name") or self.id)

    def settle(self) -> None:
        if self.state in ("creating", "starting") and time.monotonic() >= self.ready_at:
            self.state = "started"

    def told(self, toolbox: str) -> dict[str, JsonValue]:
        """As the API tells of it."""
        self.settle()
        body = self.body
        return {
            "id": self.id, "organizationId": "org-1", "name": self.name, "user": "daytona", "env": body.get("env") or {},
            "labels": body.get("labels") or {}, "public": False, "networkBlockAll": bool(body.get("networkBlockAll")),
            "domainAllowList": body.get("domainAllowList"), "target": body.get("target") or "local", "cpu": 1, "gpu": 0, "memory": 1,
            "disk": 3, "kvm": False, "state": "started" if self.lies else self.state, "desiredState": "started",
            "snapshot": body.get("snapshot"), "createdAt": self.created, "updatedAt": _now(), "toolboxProxyUrl": toolbox,
            "autoStopInterval": body.get("autoStopInterval", 15), "autoDeleteInterval": -1, "autoArchiveInterval": 10080,
        }  # fmt: skip


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
