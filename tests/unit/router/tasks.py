"""Tasks that agents elsewhere carry out, as the router's tests give and cue them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from trunkline.contracts.approval import RELEASE, ApprovalDecided, DecidedBy, Verdict
from trunkline.contracts.message import Fact
from trunkline.contracts.task import Assignment, CancelTask, Reported, ReportTask, SubmitTask, TaskHeld, TaskSubmitted
from trunkline_router.model import Cue, HoldDecided, Task, decide, evolve
from trunkline_router.settings import Settings
from trunkline_router.wiring import rules_of

RULES: Final = rules_of(Settings.model_validate({}))
NOW: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER: Final = NOW + timedelta(minutes=5)
CANCEL: Final = CancelTask(tenant="acme", at=NOW, task_id="t1", by="ann", reason="changed my mind")


def asked(type: str = "bugfix", **fields: Any) -> Assignment:
    """What a caller of the orchestrator's surface asks for."""
    return Assignment.model_validate({"type": type, "max_retries": 0, "surface": "orchestrator", **fields})


def submit(assignment: Assignment) -> SubmitTask:
    return SubmitTask(tenant="acme", at=NOW, task_id="t1", assignment=assignment, submitted_by="ann", trace_id="trace-1")


def report(reported: Reported, error: str = "", at: datetime = NOW) -> ReportTask:
    return ReportTask(tenant="acme", at=at, task_id="t1", reported=reported, by="agent-7", error=error)


def word(verdict: Verdict, digest: str, by: DecidedBy = DecidedBy.HUMAN, reason: str = "") -> HoldDecided:
    """A decision about the release of a task."""
    named = {DecidedBy.HUMAN: "bob", DecidedBy.POLICY: "default", DecidedBy.TIMEOUT: "timeout"}[by]
    return HoldDecided(ApprovalDecided(approval_id=RELEASE, verdict=verdict, decided_by=by, by=named, digest=digest, reason=reason))


def after(*facts: Fact) -> Task | None:
    task: Task | None = None
    for fact in facts:
        task = evolve(task, fact, NOW)
    return task


def when(cue: Cue, *given: Fact, at: datetime = NOW) -> list[Fact]:
    return decide(after(*given), cue, at, RULES)


def submitted(assignment: Assignment) -> list[Fact]:
    """The facts of a submission."""
    return when(submit(assignment))


def stored(assignment: Assignment) -> Assignment:
    """The assignment as the log has it: routed."""
    first = submitted(assignment)[0]
    assert isinstance(first, TaskSubmitted)
    return first.assignment


def digest_of(facts: list[Fact]) -> str:
    """What the hold among these facts is bound to."""
    return next(fact for fact in facts if isinstance(fact, TaskHeld)).hold.digest
