"""Timelines written by hand, for tests of the relay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from trunkline.contracts.approval import ApprovalDecided, ApprovalRequested, DecidedBy, Verdict
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
from trunkline.contracts.task import (
    Assignment,
    EventPublished,
    Hold,
    TaskAssigned,
    TaskHeld,
    TaskStarted,
    TaskSubmitted,
    TaskSucceeded,
)

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
    body: bytes
    trace: str = ""

    @property
    def record(self) -> Record:
        return Record.model_validate_json(self.body)


def line(seq: int, task: str, part: str, *facts: Fact, tenant: str = "acme") -> Line:
    record = Record(at=NOON + timedelta(seconds=seq), facts=facts)
    return Line(seq, f"evt.{tenant}.{task}.{part}", record.model_dump_json().encode())


def submitted(by: str = "ann", aliases: tuple[str, ...] = (), trace: str | None = None, **assignment: Any) -> TaskSubmitted:
    asked = Assignment.model_validate({"repo": "acme/shop", "prompt": "Fix the login bug.", **assignment})
    deadline = NOON + timedelta(hours=1)
    return TaskSubmitted(assignment=asked, submitted_by=by, deadline_at=deadline, aliases=aliases, trace_id=trace)


def held(seq: int, task: str, tenant: str = "acme", **of: Any) -> list[Line]:
    """A task that waits for its approval `release`, asked for in the message behind it."""
    hold = TaskHeld(hold=Hold(digest="d1", reasons=("P0 is gated",)), subject="Deploy.", requested_by="ann")
    facts = (submitted(), TaskAssigned(pool="dev", attempt=1), hold)
    return [line(seq, task, "task", *facts, tenant=tenant), asked(seq + 1, task, tenant=tenant, **of)]


def asked(seq: int, task: str, name: str = "release", tenant: str = "acme", **of: Any) -> Line:
    about = {"approval_id": name, "kind": "task", "subject": "Deploy.", "digest": "d1", "requested_by": "ann", **of}
    return line(seq, task, f"approval-{name}", ApprovalRequested.model_validate(about), tenant=tenant)


def decided(seq: int, task: str, verdict: Verdict, name: str = "release", by: DecidedBy = DecidedBy.HUMAN, tenant: str = "acme") -> Line:
    fact = ApprovalDecided(approval_id=name, verdict=verdict, decided_by=by, by="bob", reason="seen", digest="d1")
    return line(seq, task, f"approval-{name}", fact, tenant=tenant)


def said(seq: int, trace: str | None, task: str = "-", word: str = "deploy.done", tenant: str = "acme") -> Line:
    return line(seq, task, "message", EventPublished(event_type=word, by="ann", trace_id=trace, payload={"n": seq}), tenant=tenant)


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
