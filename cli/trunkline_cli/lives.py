"""The two ways a service lives below `up`: as a task in this process, or as a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trunkline.contracts.errors import DomainError, Unsupported
from trunkline_cli import children
from trunkline_cli.children import Write
from trunkline_cli.console import COMPLAINT
from trunkline_cli.services import Service
from trunkline_cli.supervisor import Switch, innermost

REFUSED: Final = 2
"""Exit code of a service that was told something it cannot do: another try ends the same."""
READY_FD: Final = "TRUNKLINE_READY_FD"
PATIENCE: Final = 3.5
"""Seconds that a child has between SIGTERM and SIGKILL."""


@dataclass(frozen=True, slots=True)
class InProcess:
    """A service as a task; the defects of one are seen as its end, and the others go on."""

    service: Service

    async def __call__(self, switch: Switch) -> str:
        try:
            async with self.service.running():
                switch.ready.set()
                await switch.stop.wait()
        except BaseExceptionGroup as group:
            _raise_refusal(group)
            raise
        return "stopped"


@dataclass(frozen=True, slots=True)
class OwnProcess:
    """A service as `trunkline serve NAME`; settings travel in its environment, where secrets are nobody else's to read."""

    name: str
    env: Mapping[str, str]
    write: Write

    async def __call__(self, switch: Switch) -> str:
        here, there = os.pipe()
        complaint = _Complaint(self.write)
        try:
            argv = [sys.executable, "-m", "trunkline_cli", "serve", self.name]
            process = await children.spawn(argv, {**self.env, READY_FD: str(there)}, out=PIPE, inherit=(there,))
        finally:
            os.close(there)
        try:
            async with asyncio.TaskGroup() as group:
                _pass_on(group, process, self.name, complaint)
                watching = [group.create_task(_tell_ready(here, switch.ready)), group.create_task(_end_when_told(process, switch.stop))]
                await process.wait()
                for task in watching:
                    task.cancel()
        finally:
            children.kill(process)
            os.close(here)
        return _ended(self.name, process, switch, complaint.text)


@dataclass(slots=True)
class _Complaint:
    """Writes what a child says, and remembers the last sentence in which it complained."""

    write: Write
    text: str = ""

    def __call__(self, line: str) -> None:
        self.write(line)
        self.text = line.partition(f"| {COMPLAINT}")[2].strip() or self.text


def _pass_on(group: asyncio.TaskGroup, process: Process, name: str, write: Write) -> None:
    for reader in (process.stdout, process.stderr):
        if reader is not None:
            group.create_task(children.pass_on(reader, name, write))


async def _tell_ready(pipe: int, ready: asyncio.Event) -> None:
    """The child writes one byte into the pipe when it is ready."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(pipe, readable.set)
    try:
        await readable.wait()
        if os.read(pipe, 1):
            ready.set()
    finally:
        loop.remove_reader(pipe)


async def _end_when_told(process: Process, stop: asyncio.Event) -> None:
    await stop.wait()
    await children.end(process, PATIENCE)


def _ended(name: str, process: Process, switch: Switch, complaint: str) -> str:
    if process.returncode == REFUSED and not switch.ready.is_set():
        raise Unsupported(complaint or f"{name} refuses to start; its reason is above.", code="SERVICE_REFUSED")
    return children.ending(process.returncode)


def _raise_refusal(group: BaseExceptionGroup[BaseException]) -> None:
    """A refusal inside groups is the refusal itself."""
    error = innermost(group)
    if isinstance(error, DomainError):
        raise error from group
