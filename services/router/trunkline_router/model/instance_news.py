"""What instances and workflow runs say, as their tasks hear it."""

from __future__ import annotations

from trunkline.contracts.dispatch import (
    COMPLETED,
    SUCCESS,
    WITHDRAWN,
    DispatchGivenUp,
    Outcome,
    WorkflowCancelTried,
    WorkflowRun,
    WorkflowRunSeen,
)
from trunkline.contracts.instance import InstanceMoved, InstanceOpened, InstanceStatus
from trunkline.contracts.message import Fact
from trunkline_router.model.cues import InstanceBegan, InstanceOver
from trunkline_router.model.instance_life import LOOKED_AT, TASK_OVER

News = InstanceBegan | InstanceOver
_NOT_BEGUN = ("queued", "requested", "waiting", "pending")
"""GitHub's words for a run that does nothing yet."""


def instance_news(fact: Fact, attempt: int) -> News | None:
    """None for what changes nothing for the task, as what followed from its own end."""
    if isinstance(fact, InstanceOpened):
        return None if fact.status.over or fact.status is InstanceStatus.DISCONNECTED else InstanceBegan(attempt)
    if not isinstance(fact, InstanceMoved) or fact.code == TASK_OVER:
        return None
    if fact.status.over:
        return _over(fact, attempt)
    return InstanceBegan(attempt) if fact.was is InstanceStatus.DISCONNECTED else None


def _over(fact: InstanceMoved, attempt: int) -> InstanceOver:
    match fact.status:
        case InstanceStatus.COMPLETED:
            return InstanceOver(attempt, ok=True)
        case InstanceStatus.KILLED:
            return InstanceOver(attempt, killed_by=fact.by)
        case _:
            return InstanceOver(attempt, code=fact.code or "AGENT_FAILED", error=fact.why or "its agent said that it failed")


def watched(fact: Fact) -> bool:
    """Whether with this fact it begins to mean something that the agent is heard, or is silent."""
    if isinstance(fact, InstanceOpened):
        return fact.status in LOOKED_AT
    return isinstance(fact, InstanceMoved) and fact.status in LOOKED_AT and fact.was not in LOOKED_AT


def dispatch_news(fact: Fact) -> News | None:
    """None for what changes nothing for the task."""
    match fact:
        case WorkflowRunSeen():
            return _run(fact.run, fact.attempt)
        case DispatchGivenUp(code=code) if code == WITHDRAWN:
            return InstanceOver(fact.attempt, code=code, error=fact.error, stopped=True)
        case DispatchGivenUp():
            return InstanceOver(fact.attempt, code=fact.code, error=fact.error)
        case WorkflowCancelTried(outcome=Outcome.ACCEPTED):
            return InstanceOver(fact.attempt, code=WITHDRAWN, error="its workflow run is cancelled", stopped=True)
        case _:
            return None


def _run(run: WorkflowRun, attempt: int) -> News | None:
    if run.status != COMPLETED:
        return None if run.status in _NOT_BEGUN else InstanceBegan(attempt)
    if run.conclusion == SUCCESS:
        return InstanceOver(attempt, ok=True)
    return InstanceOver(attempt, code="WORKFLOW_FAILED", error=f"the workflow run ended as {run.conclusion or 'nothing'}: {run.url}")
