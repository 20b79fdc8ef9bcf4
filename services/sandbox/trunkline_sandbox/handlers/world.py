"""What a run is given: the world it acts on, and the job it is about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from trunkline.bus import WorkItem
from trunkline.contracts import job_env
from trunkline.contracts.errors import Invalid
from trunkline.contracts.ids import SandboxId
from trunkline.contracts.task import Assignment
from trunkline.telemetry.redaction import Redactor
from trunkline_sandbox.handlers.named_lodging import Lodging
from trunkline_sandbox.handlers.run_log import RunLog
from trunkline_sandbox.model import Run, Skill
from trunkline_sandbox.model.budget import BudgetLimits, BudgetScope, lower
from trunkline_sandbox.model.patience import Patience
from trunkline_sandbox.model.rules import Rules
from trunkline_sandbox.naming import branch_name
from trunkline_sandbox.ports import Access, Agent, Forge, Git, Keep, Launch, Limits, SandboxProvider, Till

HOLD_S: Final = 120.0
PARK_S: Final = 30 * 86400.0
KEEPS: Final = 8
USER_ID: Final = "USER_ID"
"""Whose sandbox it is, in the word of whoever has it; no caller sets it otherwise."""
TASK_ID: Final = "TRUNKLINE_TASK"
"""For the trailer of commits and pull requests that an agent makes by itself."""


async def _reached() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Door:
    """What an agent needs beside it while it runs, by the key of its launch."""

    open: Callable[[str, Till], AbstractAsyncContextManager[None]]
    forget: Callable[[str], None]
    """Remove what is left of it; may be repeated."""
    check: Callable[[], None] = lambda: None
    """Whether there is a key behind it. Raises Invalid."""
    place: Callable[[str], None] = lambda _: None
    """Let its place be there before it is opened; may be repeated."""
    reach: Callable[[], Awaitable[None]] = _reached
    """Whether its model answers. Raises Denied, Unavailable."""
    afar: bool = False
    """Sandboxes elsewhere reach it too."""


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
    park_s: float = PARK_S
    """Seconds for which a run that is put aside is waited with; then it ends."""
    keeps: int = KEEPS
    """Programs that may stand still though nobody attends them, because their agents cannot be resumed."""
    budget: BudgetLimits = field(default_factory=BudgetLimits)
    """What models may cost before somebody is asked."""
    timeline: Callable[[WorkItem], str] = lambda _: ""
    """Where people see what happens to a task; empty where nobody said under which address we are found."""
    keep: Keep | None = None
    """None: nothing is kept for tasks that go on."""
    vault_key: bytes = field(default=b"", repr=False)
    """Opens what callers entrusted; none: such tasks fail."""
    patience: Patience = field(default_factory=Patience)
    """With a forge that is away."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """Turns of tenants that have more or fewer than others."""
    lodging: Lodging | None = None
    """Named sandboxes as places to work; None: no run of this service is in one."""

    def struck(self, job: Job, text: str) -> str:
        """Without any secret of ours, or of the job's."""
        return (job.redactor or self.redactor).text(text)

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
    token: str = field(default="", repr=False)
    """The caller's own for the forge; empty: none was given, or it is not opened yet."""
    redactor: Redactor | None = None
    """Knows that token as well; None: there is none to know."""
    trace: Mapping[str, str] = field(default_factory=dict)
    """What the program is told of the trace that it is part of."""

    @property
    def run(self) -> Run:
        """As it stands now."""
        assert self.log.run is not None
        return self.log.run

    def budget(self, installed: BudgetLimits) -> BudgetLimits:
        """The installation's, which the task may make tighter, and what people let it spend beyond."""
        limits = replace(installed, task_usd=lower(self.assignment.budget_usd, installed.task_usd))
        for scope in BudgetScope:
            limits = limits.raised(scope, self.run.questions.raised.get(scope.value, 0.0))
        return limits

    @property
    def named(self) -> bool:
        """Whether it is carried out in a user's own sandbox, which others may work in and which stays."""
        return self.assignment.sandbox is not None

    @property
    def sandbox_id(self) -> SandboxId:
        named = self.assignment.sandbox
        return SandboxId(named) if named else sandbox_id(self.item.task, self.item.attempt)

    def key(self, sitting: int) -> str:
        """Names one start of its agent's program, whatever sandbox it is in."""
        return launch_key(sandbox_id(self.item.task, self.item.attempt), sitting)

    def dressed(self, launch: Launch) -> Launch:
        """With what its caller gives the program beside what the agent needs, which counts first."""
        if not self.named:
            return replace(launch, env={**self.trace, **launch.env}) if self.trace else launch
        env = job_env.passed(self.assignment.env) | ({USER_ID: user} if (user := self.assignment.env.get(USER_ID)) else {})
        return replace(launch, env={**env, **self.trace, TASK_ID: self.item.task, **launch.env})

    @property
    def branch(self) -> str:
        origin = self.assignment.origin
        return origin.branch if origin and origin.branch else branch_name(self.item.task, self.log.struck(self.assignment.prompt))

    @property
    def access(self) -> Access:
        return Access(self.assignment.repo, self.token)


def sandbox_id(task: str, attempt: int) -> SandboxId:
    """Derived, so that whoever takes over finds it."""
    return SandboxId(f"{task}-{attempt}")


def launch_key(id: SandboxId, sitting: int) -> str:
    """Names one start of the agent's program in its sandbox."""
    return str(id) if sitting <= 1 else f"{id}.{sitting}"
