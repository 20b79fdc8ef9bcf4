"""The run as pure functions: what its facts add up to, which step is next, and what a claim or a stop leads to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from trunkline.contracts.message import Fact
from trunkline.contracts.run import (
    AgentChecked,
    AgentEnded,
    AgentInterrupted,
    AgentStarted,
    BranchPushed,
    ChangesCommitted,
    Phase,
    PhaseBegan,
    PullRequestOpened,
    PushJudged,
    RepositoryCloned,
    RunClaimed,
    RunFailed,
    RunGoesOn,
    RunParked,
    RunResult,
    RunStopped,
    RunSucceeded,
    RunWoken,
    SandboxReady,
    Usage,
    Wait,
)
from trunkline_sandbox.model.questions import Questions, heard_of


class Step(StrEnum):
    """What is to be done next; each is an effect that may be repeated."""

    MAKE_SANDBOX = "make_sandbox"
    CLONE = "clone"
    CHECK = "check"
    START_AGENT = "start_agent"
    WATCH_AGENT = "watch_agent"
    COMMIT = "commit"
    JUDGE = "judge"
    PUSH = "push"
    OPEN_PULL_REQUEST = "open_pull_request"
    CONCLUDE = "conclude"
    NOTHING = "nothing"


POISON: Final = "POISON"
"""The code of the end of a run that kills its carriers."""


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt, as far as it has come."""

    attempt: int
    owner: str
    began_at: datetime
    sandbox: SandboxReady | None = None
    sandbox_at: datetime | None = None
    checked: AgentChecked | None = None
    cloned: RepositoryCloned | None = None
    agent: AgentStarted | None = None
    agent_ended: AgentEnded | None = None
    committed: ChangesCommitted | None = None
    judged: PushJudged | None = None
    pushed: BranchPushed | None = None
    over: bool = False
    poison: bool = False
    """It ended because it killed whoever carried it."""
    claims: int = 1
    """How often it was taken since it last came further."""
    sitting: int = 1
    """Which start of the agent's program this is, or is to be."""
    parked: RunParked | None = None
    """Nobody carries it."""
    parked_at: datetime | None = None
    """When it was put aside last."""
    release: str = ""
    """By which work item it was taken up again."""
    parks: int = 0
    session: str = ""
    """The conversation that the next sitting goes on with."""
    interrupts: frozenset[str] = frozenset()
    """Wishes to interrupt that were heard."""
    resting: bool = False
    """It was interrupted, and waits to be spoken to."""
    questions: Questions = field(default_factory=Questions)
    forge_since: datetime | None = None
    """Since when the forge is waited for."""
    forge_parks: int = 0
    """How often it was put aside for that."""


def evolve(run: Run | None, fact: Fact, at: datetime) -> Run | None:
    """The run after one more fact; facts of other versions change nothing."""
    if isinstance(fact, RunClaimed):
        same = run is not None and run.attempt == fact.attempt
        return replace(run, owner=fact.owner, claims=run.claims + 1) if run and same else _begun(run, fact.attempt, fact.owner, at)
    if isinstance(fact, RunStopped):
        same = run is not None and run.attempt == fact.attempt
        return replace(run, over=True) if run and same else replace(_begun(run, fact.attempt, "", at), over=True)
    further = _evolved(run, fact, at) if run else None
    return replace(further, claims=0) if further and further is not run else further


def _begun(before: Run | None, attempt: int, owner: str, at: datetime) -> Run:
    return Run(attempt, owner, at, questions=Questions(raised=before.questions.raised if before else {}))


def _evolved(run: Run, fact: Fact, at: datetime) -> Run:
    match fact:
        case SandboxReady():
            return replace(run, sandbox=fact, sandbox_at=at)
        case AgentChecked():
            return replace(run, checked=fact)
        case RepositoryCloned():
            return replace(run, cloned=fact)
        case AgentStarted():
            return replace(run, agent=fact)
        case AgentEnded():
            return replace(run, agent_ended=fact)
        case ChangesCommitted():
            return replace(run, committed=fact)
        case PushJudged():
            return replace(run, judged=fact, questions=heard_of(run.questions, fact, run.sitting))
        case BranchPushed():
            return replace(run, pushed=fact)
        case RunSucceeded() | RunFailed():
            return replace(run, over=True, poison=isinstance(fact, RunFailed) and fact.code == POISON)
        case _:
            return _waited(run, fact, at)


def _waited(run: Run, fact: Fact, at: datetime) -> Run:
    match fact:
        case RunParked():
            questions = heard_of(run.questions, fact, run.sitting)
            parked = replace(run, parked=fact, parked_at=at, parks=run.parks + 1, session=fact.session, questions=questions)
            return _forgeless(parked, at) if fact.why is Wait.FORGE else parked
        case RunWoken():
            return replace(run, parked=None, sitting=fact.sitting, release=fact.release)
        case AgentInterrupted():
            return replace(run, interrupts=run.interrupts | {fact.wish}, resting=True)
        case RunGoesOn():
            questions = heard_of(run.questions, fact, run.sitting)
            return replace(run, resting=False, questions=questions, forge_since=None, forge_parks=0)
        case _:
            questions = heard_of(run.questions, fact, run.sitting)
            return run if questions is run.questions else replace(run, questions=questions)


def _forgeless(run: Run, at: datetime) -> Run:
    return replace(run, forge_since=run.forge_since or at, forge_parks=run.forge_parks + 1)


def next_step(run: Run) -> Step:
    """The first step whose fact is missing; nothing while it is parked."""
    if run.over or run.parked:
        return Step.NOTHING
    seated = run.agent_ended or (run.agent and run.agent.sitting >= run.sitting)
    if run.sandbox and run.sandbox.named:
        named = ((run.checked, Step.CHECK), (seated, Step.START_AGENT), (run.agent_ended, Step.WATCH_AGENT))
        return next((step for fact, step in named if not fact), Step.CONCLUDE)
    done = (
        (run.sandbox, Step.MAKE_SANDBOX),
        (run.cloned, Step.CLONE),
        (seated, Step.START_AGENT),
        (run.agent_ended, Step.WATCH_AGENT),
        (run.committed, Step.COMMIT),
        (run.judged and run.judged.cleared, Step.JUDGE),
        (run.pushed, Step.PUSH),
    )
    return next((step for fact, step in done if not fact), Step.OPEN_PULL_REQUEST)


def needs_sandbox(step: Step) -> bool:
    """Whether the step works on a sandbox that an earlier step made."""
    return step in (Step.CLONE, Step.CHECK, Step.START_AGENT, Step.WATCH_AGENT, Step.COMMIT, Step.JUDGE)


def may_stop(step: Step) -> bool:
    """Whether a stop is still honoured: once the push began, the world may see it, and the run goes on to its end."""
    return step not in (Step.PUSH, Step.OPEN_PULL_REQUEST)


def is_last_exit(step: Step) -> bool:
    """Whether this is the last step at which a stop is still honoured."""
    return step in (Step.JUDGE, Step.CONCLUDE)


@dataclass(frozen=True, slots=True)
class Released:
    """An attempt as it was handed out; a parked one is handed out again, one round later."""

    attempt: int
    round: int = 0
    release: str = ""
    """Of two items of one round only that one counts which took the run up first."""


def claim(run: Run | None, released: Released, owner: str, isolation: str, sandbox: str | None = None) -> list[Fact]:
    """Take an attempt. Nothing, when it is over, a later one was made, or it was parked since it was handed out.

    `sandbox`: the named one that it is to be carried out in.
    """
    claimed = RunClaimed(attempt=released.attempt, owner=owner)
    if run is None or run.attempt < released.attempt:
        place = f"Using sandbox {sandbox}..." if sandbox else f"Creating sandbox ({isolation})..."
        return [claimed, PhaseBegan(phase=Phase.SANDBOX, message=place)]
    if run.over or run.attempt > released.attempt or released.round < run.parks:
        return []
    if run.parked is None:
        return [claimed] if run.release in ("", released.release) else []
    same = run.agent_ended or run.agent is None or run.parked.kept
    sitting = run.sitting if same else run.sitting + 1
    return [claimed, RunWoken(attempt=run.attempt, sitting=sitting, release=released.release)]


def stop_unclaimed(run: Run | None, attempt: int) -> list[Fact]:
    """End an attempt that nobody carries, so that nobody can take it any more."""
    nobodys = run is None or run.attempt < attempt or (run.attempt == attempt and run.parked is not None and not run.over)
    return [RunStopped(attempt=attempt)] if nobodys else []


def status_of(facts: Sequence[Fact]) -> tuple[str, str] | None:
    """What a commit that was pushed is said to be, and why; that its pull request is there, the forge says as it makes it."""
    for fact in facts:
        match fact:
            case BranchPushed():
                return "pending", "An agent's work; its pull request is being opened"
            case RunFailed():
                return "failure", f"An agent's work without a pull request ({fact.code})"
            case RunStopped():
                return "failure", "An agent's work that was stopped before its pull request"
            case _:
                pass
    return None


def succeeded(run: Run, opened: PullRequestOpened, at: datetime, usage: Usage) -> list[Fact]:
    """The facts of a pull request that is there; `usage` is what was counted, whatever the agent says of it."""
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
        usage=usage,
    )
    return [opened, RunSucceeded(attempt=run.attempt, result=result)]


def concluded(run: Run, at: datetime, usage: Usage) -> list[Fact]:
    """The end of a run in a named sandbox: it leaves what its agent said, and its files where they are."""
    assert run.sandbox and run.sandbox_at and run.agent_ended
    seconds = round((at - run.sandbox_at).total_seconds(), 3)
    result = RunResult(sandbox_id=run.sandbox.sandbox_id, sandbox_seconds=seconds, summary=run.agent_ended.summary, usage=usage)
    return [RunSucceeded(attempt=run.attempt, result=result)]
