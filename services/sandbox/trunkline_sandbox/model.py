"""The run as pure functions: what its facts add up to, which step is next, and what a claim or a stop leads to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from trunkline.contracts.message import Fact
from trunkline.contracts.run import (
    AgentEnded,
    AgentStarted,
    BranchPushed,
    ChangesCommitted,
    Phase,
    PhaseBegan,
    PullRequestOpened,
    RepositoryCloned,
    RunClaimed,
    RunFailed,
    RunResult,
    RunStopped,
    RunSucceeded,
    SandboxReady,
)


class Step(StrEnum):
    """What is to be done next; each is an effect that may be repeated."""

    MAKE_SANDBOX = "make_sandbox"
    CLONE = "clone"
    START_AGENT = "start_agent"
    WATCH_AGENT = "watch_agent"
    COMMIT = "commit"
    PUSH = "push"
    OPEN_PULL_REQUEST = "open_pull_request"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt, as far as it has come."""

    attempt: int
    owner: str
    began_at: datetime
    sandbox: SandboxReady | None = None
    sandbox_at: datetime | None = None
    cloned: RepositoryCloned | None = None
    agent: AgentStarted | None = None
    agent_ended: AgentEnded | None = None
    committed: ChangesCommitted | None = None
    pushed: BranchPushed | None = None
    over: bool = False
    claims: int = 1
    """How often it was taken since it last came further."""


def evolve(run: Run | None, fact: Fact, at: datetime) -> Run | None:
    """The run after one more fact; facts of other versions change nothing."""
    if isinstance(fact, RunClaimed):
        same = run is not None and run.attempt == fact.attempt
        return replace(run, owner=fact.owner, claims=run.claims + 1) if run and same else Run(fact.attempt, fact.owner, at)
    if isinstance(fact, RunStopped):
        same = run is not None and run.attempt == fact.attempt
        return replace(run, over=True) if run and same else Run(fact.attempt, "", at, over=True)
    further = _evolved(run, fact, at) if run else None
    return replace(further, claims=0) if further and further is not run else further


def _evolved(run: Run, fact: Fact, at: datetime) -> Run:
    match fact:
        case SandboxReady():
            return replace(run, sandbox=fact, sandbox_at=at)
        case RepositoryCloned():
            return replace(run, cloned=fact)
        case AgentStarted():
            return replace(run, agent=fact)
        case AgentEnded():
            return replace(run, agent_ended=fact)
        case ChangesCommitted():
            return replace(run, committed=fact)
        case BranchPushed():
            return replace(run, pushed=fact)
        case RunSucceeded() | RunFailed():
            return replace(run, over=True)
        case _:
            return run


def next_step(run: Run) -> Step:
    """The first step whose fact is missing."""
    if run.over:
        return Step.NOTHING
    done = (
        (run.sandbox, Step.MAKE_SANDBOX),
        (run.cloned, Step.CLONE),
        (run.agent, Step.START_AGENT),
        (run.agent_ended, Step.WATCH_AGENT),
        (run.committed, Step.COMMIT),
        (run.pushed, Step.PUSH),
    )
    return next((step for fact, step in done if fact is None), Step.OPEN_PULL_REQUEST)


def needs_sandbox(step: Step) -> bool:
    """Whether the step works on a sandbox that an earlier step made."""
    return step in (Step.CLONE, Step.START_AGENT, Step.WATCH_AGENT, Step.COMMIT)


def may_stop(step: Step) -> bool:
    """Whether a stop is still honoured: once the push began, the world may see it, and the run goes on to its end."""
    return step not in (Step.PUSH, Step.OPEN_PULL_REQUEST)


def is_last_exit(step: Step) -> bool:
    """Whether this is the last step at which a stop is still honoured."""
    return step is Step.COMMIT


def claim(run: Run | None, attempt: int, owner: str, isolation: str) -> list[Fact]:
    """Take an attempt. Nothing, when it is over or a later one was made."""
    claimed = RunClaimed(attempt=attempt, owner=owner)
    if run is None or run.attempt < attempt:
        return [claimed, PhaseBegan(phase=Phase.SANDBOX, message=f"Creating sandbox ({isolation})...")]
    return [] if run.over or run.attempt > attempt else [claimed]


def stop_unclaimed(run: Run | None, attempt: int) -> list[Fact]:
    """End an attempt that nobody took yet, so that nobody can take it any more."""
    return [RunStopped(attempt=attempt)] if run is None or run.attempt < attempt else []


def succeeded(run: Run, opened: PullRequestOpened, at: datetime) -> list[Fact]:
    """The facts of a pull request that is there."""
    assert run.sandbox and run.sandbox_at and run.cloned and run.agent_ended and run.committed
    result = RunResult(
        branch=run.committed.branch,
        base=run.cloned.branch,
        commit=run.committed.commit,
        pull_request=opened.number,
        pull_request_url=opened.url,
        files_changed=run.committed.files_changed,
        additions=run.committed.additions,
        deletions=run.committed.deletions,
        sandbox_id=run.sandbox.sandbox_id,
        sandbox_seconds=round((at - run.sandbox_at).total_seconds(), 3),
        summary=run.agent_ended.summary,
        usage=run.agent_ended.usage,
    )
    return [opened, RunSucceeded(attempt=run.attempt, result=result)]
