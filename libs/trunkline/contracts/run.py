"""The run: one task being carried out, attempt by attempt, phase by phase, and what the agent said meanwhile."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from trunkline.contracts.message import Fact, Message


class Phase(StrEnum):
    """The steps a person watches, in this order."""

    SANDBOX = "sandbox"
    CLONE = "clone"
    AGENT = "agent"
    PUSH = "push"
    PR = "pr"


class Usage(Message):
    """What the model was asked and what that cost; None is unknown, never invented."""

    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


class RunResult(Message):
    """What came out of a run that succeeded."""

    branch: str
    base: str
    commit: str
    pull_request: int
    pull_request_url: str
    files_changed: int
    additions: int
    deletions: int
    sandbox_id: str
    sandbox_seconds: float
    summary: str = ""
    """What the agent said last, shortened."""
    usage: Usage = Usage()


class RunClaimed(Fact):
    """A replica of the sandbox service took the run; whoever claimed it before may write no more."""

    type: Literal["run.claimed"] = "run.claimed"
    attempt: int
    owner: str


class PhaseBegan(Fact):
    type: Literal["run.phase_began"] = "run.phase_began"
    phase: Phase
    message: str


class SandboxReady(Fact):
    type: Literal["run.sandbox_ready"] = "run.sandbox_ready"
    sandbox_id: str
    provider: str
    isolation: str
    """How the agent is kept in: `bubblewrap`, `none (--unsafe-local)`, a provider's name."""


class RepositoryCloned(Fact):
    type: Literal["run.cloned"] = "run.cloned"
    branch: str
    commit: str


class AgentStarted(Fact):
    type: Literal["run.agent_started"] = "run.agent_started"
    agent: str


class AgentEnded(Fact):
    """The agent is gone and did its work; a failure is a RunFailed instead."""

    type: Literal["run.agent_ended"] = "run.agent_ended"
    summary: str = ""
    usage: Usage = Usage()
    caveat: str = ""
    """What kept it from doing all it wanted (tools it was denied), as a sentence."""


class ChangesCommitted(Fact):
    type: Literal["run.committed"] = "run.committed"
    branch: str
    commit: str
    files_changed: int
    additions: int
    deletions: int


class BranchPushed(Fact):
    type: Literal["run.pushed"] = "run.pushed"
    branch: str
    commit: str


class PullRequestOpened(Fact):
    type: Literal["run.pull_request_opened"] = "run.pull_request_opened"
    number: int
    url: str


class RunSucceeded(Fact):
    type: Literal["run.succeeded"] = "run.succeeded"
    attempt: int
    result: RunResult


class RunFailed(Fact):
    type: Literal["run.failed"] = "run.failed"
    attempt: int
    code: str
    error: str
    recoverable: bool
    """Whether trying again may end better."""


class RunStopped(Fact):
    """The run was ended because the task asked for it; nothing of it runs any more."""

    type: Literal["run.stopped"] = "run.stopped"
    attempt: int


RunFact = Annotated[
    RunClaimed
    | PhaseBegan
    | SandboxReady
    | RepositoryCloned
    | AgentStarted
    | AgentEnded
    | ChangesCommitted
    | BranchPushed
    | PullRequestOpened
    | RunSucceeded
    | RunFailed
    | RunStopped,
    Field(discriminator="type"),
]


class Said(StrEnum):
    """What kind of thing an agent did or said."""

    MESSAGE = "message"
    THINKING = "thinking"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    NOTICE = "notice"
    """Said by Trunkline about the agent: output cut short, a retry at the model."""
    RAW = "raw"
    """A line that the parser does not know, kept as it came."""


class AgentOutput(Fact):
    """One thing that the agent did or said, in the order of its output."""

    type: Literal["output.said"] = "output.said"
    attempt: int
    line: int
    """Number of the spool line it came from, from 1; several outputs may share a line."""
    kind: Said
    tool: str | None = None
    display: str = ""
    """One line for people."""
    text: str = ""
    is_error: bool = False
    detail: dict[str, JsonValue] = {}
