"""Small programs to be run in sandboxes, and one sandbox to run them in."""

from __future__ import annotations

import asyncio
import os
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from trunkline.contracts.ids import SandboxId
from trunkline_sandbox.ports import Exit, Launch, Limits, Line, SandboxSpec

LONG = str(1_000_000 + os.getpid())
"""How long agents sleep for ever, in seconds; also the word by which this test run finds them again."""
SMALL = Limits(wall=20, memory=512 << 20, processes=64)


def spelled(code: str) -> str:
    return textwrap.dedent(code).replace("LONG", LONG)


def python(code: str, key: str = "k") -> Launch:
    return Launch(key, ("/usr/bin/python3", "-c", spelled(code)), {})


def shell(code: str, key: str = "k") -> Launch:
    return Launch(key, ("/bin/bash", "-c", spelled(code)), {})


@dataclass(slots=True)
class Heard:
    lines: list[Line] = field(default_factory=list)
    exit: Exit = Exit(None)

    @property
    def out(self) -> list[bytes]:
        return [line.data for line in self.lines if not line.stderr]

    @property
    def text(self) -> str:
        return b"\n".join(line.data for line in self.lines).decode("utf-8", "replace")


@dataclass(slots=True)
class Box:
    """One sandbox of a provider; `near` ones lie on this machine."""

    provider: Any
    root: Path
    id: SandboxId = SandboxId("box-1")

    @property
    def dir(self) -> Path:
        return self.root / self.id

    async def ensure(self, limits: Limits = SMALL, egress: tuple[str, ...] = (), labels: Mapping[str, str] | None = None) -> None:
        await self.provider.ensure(SandboxSpec(self.id, limits, labels or {"tenant": "t", "task": "x"}, egress))

    async def start(self, launch: Launch, limits: Limits = SMALL) -> None:
        await self.ensure(limits)
        await self.provider.start(self.id, launch)

    async def hear(self, key: str = "k", patience: float = 30.0) -> Heard:
        heard = Heard()
        async with asyncio.timeout(patience):
            async for one in self.provider.output(self.id, key):
                if isinstance(one, Exit):
                    heard.exit = one
                else:
                    heard.lines.append(one)
        return heard

    async def run(self, launch: Launch, limits: Limits = SMALL) -> Heard:
        await self.start(launch, limits)
        return await self.hear(launch.key)

    async def first_line(self, key: str = "k") -> bytes:
        async with asyncio.timeout(10):
            async for one in self.provider.output(self.id, key):
                assert isinstance(one, Line), one
                return one.data
        raise AssertionError("there was no line")

    def other(self, id: str) -> Box:
        return replace(self, id=SandboxId(id))


def alive(word: str) -> list[psutil.Process]:
    """Living processes of the machine with `word` among their arguments."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        if word in (process.info["cmdline"] or []) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


async def eventually(holds: Callable[[], bool], patience: float = 20.0) -> bool:
    end = asyncio.get_running_loop().time() + patience
    while not holds():
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(0.01)
    return True


async def asleep(many: int = 1) -> psutil.Process:
    """One of the agents' `sleep LONG`, once that many sleep: a line is heard before the program after it has begun."""
    assert await eventually(lambda: len(sleepers()) >= many), f"{len(sleepers())} of {many} sleep"
    return sleepers()[0]


def sleepers() -> list[psutil.Process]:
    return [one for one in alive(LONG) if one.info["cmdline"][0].endswith("sleep")]


async def gone(word: str, patience: float = 10.0) -> bool:
    return await eventually(lambda: not alive(word), patience)
