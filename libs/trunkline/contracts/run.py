"""The run: one task being carried out, attempt by attempt, phase by phase, and what the agent said meanwhile."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field, JsonValue

from trunkline.contracts.calls import ToolRule
from trunkline.contracts.message import Fact, Message

SANDBOX_LOST: Final = "SANDBOX_LOST"
"""What a run fails with whose machine is gone: nobody's failure."""


class Phase(StrEnum):
    """The steps a person watches, in this order."""

    SANDBOX = "sandbox"
    CLONE = "clone"
    CHECK = "check"
    """In a named sandbox, in the place of a clone: whether the agent, its key and its model are there."""
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
    """What came out of a run that succeeded; one without a repository leaves what it says, and all of a change is empty or 0."""

    branch: str = ""
    base: str = ""
    commit: str = ""
    pull_request: int = 0
    """0: it opened none."""
    pull_request_url: str = ""
    files_changed: int = 0
    additions: int = 0
    deletions: int = 0
    sandbox_id: str
    sandbox_seconds: float
    summary: str = ""
    """What the agent said last, shortened."""
    usage: Usage = Usage()
    """As it was counted on the way to its models; what an agent says of itself is none of it."""


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
    named: bool = False
    """A user's own, which was there before the run and stays after it."""


class AgentChecked(Fact):
    """The agent was found to be in the named sandbox, with a key and a model that can be reached."""

    type: Literal["run.agent_checked"] = "run.agent_checked"
    agent: str
    version: str = ""
    """As its program says it, where it says such a thing."""


class RepositoryCloned(Fact):
    type: Literal["run.cloned"] = "run.cloned"
    branch: str
    commit: str


class AgentStarted(Fact):
    type: Literal["run.agent_started"] = "run.agent_started"
    agent: str
    sitting: int = 1
    """Which start of the agent's program within the attempt, from 1."""
    session: str = ""
    """The agent's own name of the conversation, where it is known beforehand."""


class AgentEnded(Fact):
    """The agent is gone and did its work; a failure is a RunFailed instead."""

    type: Literal["run.agent_ended"] = "run.agent_ended"
    summary: str = ""
    usage: Usage = Usage()
    """What the agent says of itself: a claim."""
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


class Wait(StrEnum):
    """What a run waits for."""

    TOOL_CALL = "tool_call"
    BUDGET = "budget"
    PUSH = "push"
    PULL_REQUESTS = "pull_requests"
    PAUSED = "paused"
    FORGE = "forge"
    PLACE = "place"
    """It may go on, and all places are taken."""


class CallVerdict(StrEnum):
    ALLOWED = "allowed"
    DENIED = "denied"
    TIMED_OUT = "timed_out"
    WITHDRAWN = "withdrawn"
    """The agent, or its end, took the call back."""


class ApprovalWanted(Fact):
    """The run needs a yes before it goes on; the approvals service asks under exactly this name, once."""

    type: Literal["run.approval_wanted"] = "run.approval_wanted"
    attempt: int
    approval_id: str
    kind: str
    subject: str
    digest: str
    requested_by: str
    about: dict[str, JsonValue] = {}
    expires_at: datetime | None = None


class ApprovalDropped(Fact):
    """Nobody has to decide any more: what was asked about will not happen."""

    type: Literal["run.approval_dropped"] = "run.approval_dropped"
    attempt: int
    approval_id: str
    reason: str = ""


class CallAnswered(Fact):
    """What the agent is told about one call. It is recorded before it is told."""

    type: Literal["run.call_answered"] = "run.call_answered"
    attempt: int
    sitting: int
    call: str
    """The agent's own name of its request."""
    approval_id: str
    verdict: CallVerdict
    by: str
    reason: str = ""
    digest: str
    """Of what runs: another than was asked when somebody rewrote it."""


class RuleGranted(Fact):
    """From here on the calls of this attempt that the rule fits are allowed."""

    type: Literal["run.rule_granted"] = "run.rule_granted"
    attempt: int
    rule: ToolRule
    by: str
    approval_id: str


class RunWaits(Fact):
    """Time stands still for the task's deadline until the run goes on."""

    type: Literal["run.waits"] = "run.waits"
    attempt: int
    why: Wait
    approval_id: str = ""


class RunGoesOn(Fact):
    """Nothing is waited for any more."""

    type: Literal["run.goes_on"] = "run.goes_on"
    attempt: int


class RunParked(Fact):
    """Nobody carries the run. No program of it exists and its files wait for the next sitting, unless its program is kept."""

    type: Literal["run.parked"] = "run.parked"
    attempt: int
    sitting: int
    why: Wait
    session: str = ""
    line: int = 0
    """The last line of output of this sitting that is on the timeline."""
    until: datetime | None = None
    """Not taken up before that; None: when what it waits for has come."""
    kept: bool = False
    """Its program stands still where it was, and goes on in the same sitting: it could not be resumed."""


class RunWoken(Fact):
    """Somebody carries the run again."""

    type: Literal["run.woken"] = "run.woken"
    attempt: int
    sitting: int
    """The one that begins, or goes on with the program that was kept."""
    release: str = ""
    """By which of its work items; another one of the same round is a copy, and nobody's."""


class AgentInterrupted(Fact):
    """Somebody ended what the agent was doing; it may be spoken to."""

    type: Literal["run.interrupted"] = "run.interrupted"
    attempt: int
    sitting: int
    wish: str
    by: str


class BudgetRaised(Fact):
    type: Literal["run.budget_raised"] = "run.budget_raised"
    attempt: int
    approval_id: str
    usd: float
    by: str


class PushJudged(Fact):
    """Whether the work may leave as it is."""

    type: Literal["run.push_judged"] = "run.push_judged"
    attempt: int
    commit: str
    digest: str
    cleared: bool
    reasons: tuple[str, ...] = ()
    by: str = ""


class SnapshotKept(Fact):
    """Workspace and conversation as they stood; a task may go on from here."""

    type: Literal["run.snapshot_kept"] = "run.snapshot_kept"
    attempt: int
    sitting: int
    line: int
    """Of the sitting's output: the last that was heard then."""
    snapshot: str
    """Its name within the attempt."""
    commit: str
    """Of the workspace; it lies where the run keeps its work, not at the forge."""
    session: str = ""
    """The agent's own name of the conversation; empty where it has none that can be gone on with."""
    at_rest: bool = False
    """No program of the run was left: what is committed after it is what was kept."""


class SnapshotMissed(Fact):
    """Workspace or conversation could not be kept as they stood: a later task goes on from what was kept before. The run goes on."""

    type: Literal["run.snapshot_missed"] = "run.snapshot_missed"
    attempt: int
    sitting: int
    code: str
    reason: str
    """A sentence for people."""


RunFact = Annotated[
    RunClaimed
    | PhaseBegan
    | SandboxReady
    | AgentChecked
    | RepositoryCloned
    | AgentStarted
    | AgentEnded
    | ChangesCommitted
    | BranchPushed
    | PullRequestOpened
    | RunSucceeded
    | RunFailed
    | RunStopped
    | ApprovalWanted
    | ApprovalDropped
    | CallAnswered
    | RuleGranted
    | RunWaits
    | RunGoesOn
    | RunParked
    | RunWoken
    | AgentInterrupted
    | BudgetRaised
    | PushJudged
    | SnapshotKept
    | SnapshotMissed,
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
    sitting: int = 1
    """Lines are numbered anew for each start of the agent's program within the attempt."""
    kind: Said
    tool: str | None = None
    display: str = ""
    """One line for people."""
    text: str = ""
    is_error: bool = False
    detail: dict[str, JsonValue] = {}
