"""What a run is given: the world it acts on, and the job it is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from trunkline.bus import WorkItem
from trunkline.contracts.errors import Invalid
from trunkline.contracts.ids import SandboxId
from trunkline.contracts.task import Assignment
from trunkline.telemetry.redaction import Redactor
from trunkline_sandbox.handlers.run_log import RunLog
from trunkline_sandbox.model import Run, Skill
from trunkline_sandbox.model.budget import BudgetLimits, BudgetScope
from trunkline_sandbox.model.rules import Rules
from trunkline_sandbox.naming import branch_name
from trunkline_sandbox.ports import Access, Agent, Forge, Git, Keep, Limits, SandboxProvider, Till

HOLD_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Door:
    """What an agent needs beside it while it runs, by the key of its launch."""

    open: Callable[[str, Till], AbstractAsyncContextManager[None]]
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
    redactor: Redactor = field(default_factory=Redactor)
    rules: Rules = field(default_factory=Rules)
    hold_s: float = HOLD_S
    """Seconds for which an agent that waits for people keeps its process, where it can be resumed."""
    budget: BudgetLimits = field(default_factory=BudgetLimits)
    """What models may cost before somebody is asked."""
    public_url: str = ""
    keep: Keep | None = None
    """None: nothing is kept for tasks that go on."""

    def forget(self, key: str) -> None:
        """Nobody will ask for the doors of this launch again."""
        for door in self.doors.values():
            door.forget(key)

    def skill(self, assignment: Assignment) -> Skill:
        """What the agent of a task can do; one that is not there can do nothing."""
        found = self.agents.get(assignment.agent or self.default_agent)
        return found.skill if found else Skill()

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
    submitted_by: str = ""

    @property
    def run(self) -> Run:
        """As it stands now."""
        assert self.log.run is not None
        return self.log.run

    def budget(self, installed: BudgetLimits) -> BudgetLimits:
        """The installation's, which the task may make tighter, and what people let it spend beyond."""
        own = [usd for usd in (installed.task_usd, self.assignment.budget_usd) if usd]
        limits = replace(installed, task_usd=min(own, default=0.0))
        for scope in BudgetScope:
            limits = limits.raised(scope, self.run.questions.raised.get(scope.value, 0.0))
        return limits

    @property
    def sandbox_id(self) -> SandboxId:
        return sandbox_id(self.item.task, self.item.attempt)

    @property
    def branch(self) -> str:
        origin = self.assignment.origin
        return origin.branch if origin and origin.branch else branch_name(self.item.task, self.assignment.prompt)

    def timeline(self, public_url: str) -> str:
        """Where people see what happens; empty where nobody said under which address we are found."""
        return f"{public_url.rstrip('/')}/tasks/task_{self.item.task}/events" if public_url else ""

    @property
    def access(self) -> Access:
        return Access(self.assignment.repo)


def sandbox_id(task: str, attempt: int) -> SandboxId:
    """Derived, so that whoever takes over finds it."""
    return SandboxId(f"{task}-{attempt}")


def launch_key(id: SandboxId, sitting: int) -> str:
    """Names one start of the agent's program in its sandbox."""
    return str(id) if sitting <= 1 else f"{id}.{sitting}"
