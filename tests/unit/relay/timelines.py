"""Timelines written by hand, for tests of the relay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from trunkline.contracts.message import Fact
from trunkline.contracts.record import Record
from trunkline.contracts.run import (
    AgentStarted,
    BranchPushed,
    ChangesCommitted,
    Phase,
    PhaseBegan,
    PullRequestOpened,
    RunClaimed,
    RunResult,
    RunSucceeded,
    SandboxReady,
)
from trunkline.contracts.task import Assignment, TaskAssigned, TaskStarted, TaskSubmitted, TaskSucceeded

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
RESULT = RunResult(
    branch="trunkline/t1", base="main", commit="c0ffee", pull_request=7, pull_request_url="http://forge/7", files_changed=1, additions=2,
    deletions=3, sandbox_id="s1", sandbox_seconds=1.5,
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One message of the log."""

    seq: int
    subject: str
    body: str

    @property
    def record(self) -> Record:
        return Record.model_validate_json(self.body)


def line(seq: int, task: str, part: str, *facts: Fact, tenant: str = "acme") -> Line:
    record = Record(at=NOON + timedelta(seconds=seq), facts=facts)
    return Line(seq, f"evt.{tenant}.{task}.{part}", record.model_dump_json())


def submitted(by: str = "ann", aliases: tuple[str, ...] = (), prompt: str = "Fix the login bug.") -> TaskSubmitted:
    assignment = Assignment(repo="acme/shop", prompt=prompt)
    return TaskSubmitted(assignment=assignment, submitted_by=by, deadline_at=NOON + timedelta(hours=1), aliases=aliases)


def life(first: int, task: str, tenant: str = "acme") -> list[Line]:
    """A task from submission to success, in eight messages."""
    parts: list[tuple[str, tuple[Fact, ...]]] = [
        ("task", (submitted(aliases=(f"omni:{task}",)), TaskAssigned(pool="dev", attempt=1))),
        ("run", (RunClaimed(attempt=1, owner="sandbox-1"), PhaseBegan(phase=Phase.SANDBOX, message="Making a sandbox."))),
        ("task", (TaskStarted(attempt=1),)),
        ("run", (SandboxReady(sandbox_id="s1", provider="local", isolation="bubblewrap"), AgentStarted(agent="command"))),
        ("run", (ChangesCommitted(branch="trunkline/t1", commit="c0ffee", files_changed=1, additions=2, deletions=3),)),
        ("run", (BranchPushed(branch="trunkline/t1", commit="c0ffee"), PhaseBegan(phase=Phase.PR, message="Opening a pull request."))),
        ("run", (PullRequestOpened(number=7, url="http://forge/7"), RunSucceeded(attempt=1, result=RESULT))),
        ("task", (TaskSucceeded(result=RESULT),)),
    ]
    return [line(first + index, task, part, *facts, tenant=tenant) for index, (part, facts) in enumerate(parts)]
