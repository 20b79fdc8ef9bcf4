"""The sandboxes of the emulated Daytona: a folder each, and real processes of this machine that belong to it."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue

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

    dir: Path
    body: Mapping[str, JsonValue]
    ready_at: float
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    state: str = "creating"
    lies: bool = False
    created: str = field(default_factory=lambda: _now())
    sessions: dict[str, dict[str, Command]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.body.get("name") or self.id)

    @property
    def home(self) -> Path:
        return self.dir / "home"

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

    def path(self, text: str) -> Path:
        """A path inside; raises ValueError for one that leads out of the sandbox's folder."""
        path = Path(os.path.normpath(self.home / text))
        if not path.is_relative_to(self.dir):
            raise ValueError(text)
        return path

    async def spawn(self, command: str, env: Mapping[str, str] | None = None) -> asyncio.subprocess.Process:
        mine = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.home), "FAKE_DAYTONA": str(self.dir), **(env or {})}
        return await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", command, cwd=self.home, env=mine, start_new_session=True, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    def kill(self) -> None:
        """End every process of this machine that belongs to it, as the end of a machine ends them."""
        end = time.monotonic() + 10
        while (found := _belonging(str(self.dir).encode())) and time.monotonic() < end:
            for pid in found:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)

    def remove(self) -> None:
        self.kill()
        folder = shlex.quote(str(self.dir))  # by the system's tools: it may be deeper than Python can go
        os.system(f"rm -rf {folder} 2>/dev/null || {{ chmod -R u+rwX {folder}; rm -rf {folder}; }}")


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _belonging(word: bytes) -> list[int]:
    """Who names the folder in its arguments or variables, and everybody below them."""
    alive = {pid: parent for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()) if (parent := _parent(pid)) is not None}
    found = {pid for pid in alive if pid != os.getpid() and any(word in _read(pid, name) for name in ("cmdline", "environ"))}
    while more := {pid for pid, parent in alive.items() if parent in found} - found:
        found |= more
    return sorted(found)


def _parent(pid: int) -> int | None:
    words = _read(pid, "stat").rpartition(b")")[2].split()
    return int(words[1]) if words and words[0] not in (b"Z", b"X") else None


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
