"""A machine of an emulated cloud: a folder, and the real processes of this machine that belong to it."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE = 10.0


@dataclass(slots=True)
class Place:
    """Everything in it lies below `dir`."""

    dir: Path
    image: Path | None = None
    """What is in its home from the beginning."""
    dirty: bool = field(default=False, init=False)
    """A process was begun in it."""

    def lay_out(self) -> None:
        if self.image is None:
            self.home.mkdir(parents=True)
        else:
            shutil.copytree(self.image, self.home)

    @property
    def home(self) -> Path:
        return self.dir / "home"

    def path(self, text: str) -> Path:
        """A path inside; raises ValueError for one that leads out of the folder."""
        path = Path(os.path.normpath(self.home / text))
        if not path.is_relative_to(self.dir):
            raise ValueError(text)
        return path

    async def spawn(self, words: tuple[str, ...], env: Mapping[str, str] | None = None) -> asyncio.subprocess.Process:
        self.dirty = True
        mine = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.home), "FAKE_CLOUD": str(self.dir), **(env or {})}
        return await asyncio.create_subprocess_exec(
            *words, cwd=self.home, env=mine, start_new_session=True, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    def signal(self, number: int) -> list[int]:
        """Send it to every process of this machine that belongs to it; whom it went to."""
        found = _belonging(str(self.dir).encode()) if self.dirty else []
        for pid in found:
            with suppress(OSError):
                os.kill(pid, number)
        return found

    def kill(self) -> None:
        """End them, as the end of a machine ends them."""
        end = time.monotonic() + PATIENCE
        while self.signal(signal.SIGKILL) and time.monotonic() < end:
            time.sleep(0.002)
        self.dirty = False

    def remove(self) -> None:
        """However its tree looks."""
        self.kill()
        with suppress(OSError, RecursionError):
            return shutil.rmtree(self.dir)
        folder = shlex.quote(str(self.dir))  # by the system's tools: it was shut, or deeper than Python can go
        os.system(f"rm -rf {folder} 2>/dev/null || {{ chmod -R u+rwX {folder}; rm -rf {folder}; }}")


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
