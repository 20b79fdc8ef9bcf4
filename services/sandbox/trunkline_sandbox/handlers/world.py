"""What a run is given: the world it acts on, and the job it is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from trunkline.bus import WorkItem
from trunkline.contracts.errors import Invalid
from trunkline.contracts.ids import SandboxId
from trunkline.contracts.task import Assignment
from trunkline_sandbox.handlers.run_log import RunLog
from trunkline_sandbox.naming import branch_name
from trunkline_sandbox.ports import Agent, Forge, Git, Limits, SandboxProvider


@dataclass(frozen=True, slots=True)
class Door:
    """What an agent needs beside it while it runs, by the key of its launch."""

    open: Callable[[str], AbstractAsyncContextManager[None]]
    forget: Callable[[str], None]
    """Remove what is left of it; may be repeated."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside that a run touches."""

    provider: SandboxProvider
    git: Git
    forge: Forge
    agents: Mapping[str, Agent]
    doors: Mapping[str, Door]
    default_agent: str
    folder: Path
    """Where runs keep their clean repositories, one folder each."""
    limits: Limits
    egress: tuple[str, ...]
    now: Callable[[], datetime]

    def forget(self, key: str) -> None:
        """Nobody will ask for the doors of this launch again."""
        for door in self.doors.values():
            door.forget(key)

    def agent(self, assignment: Assignment) -> Agent:
        """Raises Invalid when the task wants an agent that is not there."""
        name = assignment.agent or self.default_agent
        if name not in self.agents:
            raise Invalid(f"there is no agent {name!r} here; there is {', '.join(self.agents)}", code="UNKNOWN_AGENT")
        return self.agents[name]


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt and what it is about."""

    item: WorkItem
    assignment: Assignment
    log: RunLog

    @property
    def sandbox_id(self) -> SandboxId:
        return sandbox_id(self.item.task, self.item.attempt)

    @property
    def branch(self) -> str:
        return branch_name(self.item.task, self.assignment.prompt)


def sandbox_id(task: str, attempt: int) -> SandboxId:
    """Derived, so that whoever takes over finds it."""
    return SandboxId(f"{task}-{attempt}")
