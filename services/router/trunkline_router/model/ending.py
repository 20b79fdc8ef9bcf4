"""How a task ends that was asked to stop, and what every end takes with it."""

from __future__ import annotations

from trunkline.contracts.message import Fact
from trunkline.contracts.run import ApprovalDropped
from trunkline.contracts.task import ENDS, StopCause, TaskCancelled, TaskFailed, TaskStopRequested
from trunkline_router.model.task import Task

OVER = "the task is over"


def stopped(stop: TaskStopRequested) -> Fact:
    if stop.cause is StopCause.DEADLINE:
        return TaskFailed(code="DEADLINE", error=stop.reason)
    return TaskCancelled(by=stop.by, reason=stop.reason, cause=stop.cancel_cause)


def with_questions_dropped(task: Task | None, facts: list[Fact]) -> list[Fact]:
    """Where they end the task, nobody has to decide what its agents asked any more."""
    open_asks = [ask.approval_id for ask in task.asks if ask.open] if task else []
    if not open_asks or task is None or not any(isinstance(fact, ENDS) for fact in facts):
        return facts
    return [*(ApprovalDropped(attempt=task.attempt, approval_id=name, reason=OVER) for name in open_asks), *facts]
