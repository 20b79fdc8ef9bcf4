"""What may become of a task, as the facts that its owners would write."""

from __future__ import annotations

from trunkline.contracts.message import Fact
from trunkline.contracts.run import (
    AgentEnded,
    AgentOutput,
    AgentStarted,
    BranchPushed,
    ChangesCommitted,
    Phase,
    PhaseBegan,
    PullRequestOpened,
    RepositoryCloned,
    RunClaimed,
    RunResult,
    RunSucceeded,
    Said,
    SandboxReady,
    Usage,
)
from trunkline.contracts.spend import ModelAnswered
from trunkline.contracts.task import TaskAssigned, TaskFailed, TaskStarted, TaskSucceeded

BRANCH, COMMIT, PAGE = "pr-agent/add-tests-1234567890", "abc123def456", "https://github.com/myorg/myrepo/pull/42"
USAGE = Usage(model="claude-sonnet", input_tokens=1200, output_tokens=340, cost_usd=0.24)

ANSWERED = ModelAnswered(
    attempt=1, sitting=1, request="r1", shape="anthropic", model="claude-sonnet", status=200, input_tokens=1200, output_tokens=340, usd=0.24
)  # fmt: skip


def said(line: int, kind: Said, **more: object) -> AgentOutput:
    return AgentOutput.model_validate({"attempt": 1, "line": line, "kind": kind, **more})


def result(usage: Usage = USAGE) -> RunResult:
    return RunResult(
        branch=BRANCH, base="main", commit=COMMIT, pull_request=42, pull_request_url=PAGE, files_changed=3,
        additions=40, deletions=2, sandbox_id="sb-1", sandbox_seconds=95.0, summary="done", usage=usage,
    )  # fmt: skip


STARTED: list[tuple[Fact, ...]] = [
    (TaskAssigned(pool="dev", attempt=1),),
    (RunClaimed(attempt=1, owner="a"), PhaseBegan(phase=Phase.SANDBOX, message="Creating sandbox...")),
    (TaskStarted(attempt=1),),
    (SandboxReady(sandbox_id="sb-1", provider="local", isolation="bubblewrap"),),
]
WORKED: list[tuple[Fact, ...]] = [
    (PhaseBegan(phase=Phase.CLONE, message="Cloning repository..."),),
    (RepositoryCloned(branch="main", commit="0" * 40), PhaseBegan(phase=Phase.AGENT, message="Running the agent...")),
    (
        AgentStarted(agent="command"),
        said(1, Said.THINKING, display="Looking", text="Looking\naround"),
        said(2, Said.TOOL_CALL, tool="Read", display="src/index.ts"),
        said(3, Said.TOOL_RESULT, tool="Read", display="2 lines", text="data: x\n\nevent: y\u2028", is_error=True),
        said(4, Said.MESSAGE, display="Tests added", text="Tests added"),
    ),
    (ANSWERED,),
    (AgentEnded(summary="done"), PhaseBegan(phase=Phase.PUSH, message="Pushing changes...")),
    (
        ChangesCommitted(branch=BRANCH, commit=COMMIT, files_changed=3, additions=40, deletions=2),
        BranchPushed(branch=BRANCH, commit=COMMIT),
        PhaseBegan(phase=Phase.PR, message="Creating pull request..."),
    ),
    (PullRequestOpened(number=42, url=PAGE),),
]
SUCCEEDED: list[tuple[Fact, ...]] = [(RunSucceeded(attempt=1, result=result()),), (TaskSucceeded(result=result()),)]
FAILED: list[tuple[Fact, ...]] = [(TaskFailed(code="REPO_NOT_FOUND", error="The repository myorg/myrepo is not there."),)]
WHOLE = [*STARTED, *WORKED, *SUCCEEDED]
