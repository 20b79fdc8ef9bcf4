"""The two ways a service lives below `up`: as a task in this process, or as a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trunkline.contracts.errors import DomainError, Unsupported
from trunkline_cli import children
from trunkline_cli.children import Write
from trunkline_cli.console import COMPLAINT
from trunkline_cli.nursing import Nursery
from trunkline_cli.services import Service
from trunkline_cli.supervisor import Switch, innermost

REFUSED: Final = 2
"""Exit code of a service that was told something it cannot do: another try ends the same."""


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
    """A service as `trunkline serve NAME`, forked off by the nursery, which never sees its settings: they go to the child alone."""

    name: str
    env: Mapping[str, str]
    write: Write
    nursery: Nursery

    async def __call__(self, switch: Switch) -> str:
        complaint = _Complaint(self.write)
        async with self.nursery.child(self.name, self.env) as child, asyncio.TaskGroup() as group:
            group.create_task(children.pass_on(child.out, self.name, complaint))
            ending = group.create_task(child.end_when_told(switch.stop))
            code = await child.ended(switch.ready)
            ending.cancel()
        if code == REFUSED and not switch.ready.is_set():
            raise Unsupported(complaint.text or f"{self.name} refuses to start; its reason is above.", code="SERVICE_REFUSED")
        return "its nursery ended" if code is None else children.ending(code)


@dataclass(slots=True)
class _Complaint:
    """Writes what a child says, and remembers the last sentence in which it complained."""

    write: Write
    text: str = ""

    def __call__(self, line: str) -> None:
        self.write(line)
        self.text = line.partition(f"| {COMPLAINT}")[2].strip() or self.text


def _raise_refusal(group: BaseExceptionGroup[BaseException]) -> None:
    """A refusal inside groups is the refusal itself."""
    error = innermost(group)
    if isinstance(error, DomainError):
        raise error from group
