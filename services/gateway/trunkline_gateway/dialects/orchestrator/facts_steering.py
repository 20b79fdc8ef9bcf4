"""What a run waits for, is told and costs, in the words of this surface: each fact a dotted name and what a reader needs to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import JsonValue

from trunkline.contracts import forge, run, spend, steering, task
from trunkline.contracts.message import Fact
from trunkline_gateway.dialects.orchestrator import names
from trunkline_gateway.dialects.orchestrator.encode import moment

Object = dict[str, JsonValue]
Tell = Callable[[str, Any], Object]
"""From the id of the task and the fact."""
Asking = run.ApprovalWanted | run.ApprovalDropped | run.CallAnswered | run.RuleGranted | run.RunWaits | run.BudgetRaised | task.TaskWaits


def _plain(task_id: str, fact: Fact) -> Object:
    return fact.model_dump(mode="json", exclude={"type"})


def _asking(task_id: str, fact: Asking) -> Object:
    """The fact as it is, but for the name of the approval, which is that of the surface."""
    return {**_plain(task_id, fact), "approval_id": names.approval(task_id, fact.approval_id) if fact.approval_id else None}


def _wanted(task_id: str, fact: run.ApprovalWanted) -> Object:
    return {**_asking(task_id, fact), "expires_at": moment(fact.expires_at) if fact.expires_at else None}


def _goes_on(task_id: str, fact: task.TaskGoesOn) -> Object:
    return {"deadline": moment(fact.deadline_at)}


TOLD: Final[Mapping[type[Fact], tuple[str, Tell]]] = {
    task.TaskWaits: ("task.waiting", _asking),
    task.TaskGoesOn: ("task.goes_on", _goes_on),
    run.ApprovalWanted: ("run.approval_wanted", _wanted),
    run.ApprovalDropped: ("run.approval_dropped", _asking),
    run.CallAnswered: ("run.call_answered", _asking),
    run.RuleGranted: ("run.rule_granted", _asking),
    run.RunWaits: ("run.waiting", _asking),
    run.RunGoesOn: ("run.goes_on", _plain),
    run.RunParked: ("run.parked", _plain),
    run.RunWoken: ("run.woken", _plain),
    run.AgentInterrupted: ("run.interrupted", _plain),
    run.BudgetRaised: ("run.budget_raised", _asking),
    run.PushJudged: ("run.push_judged", _plain),
    run.SnapshotKept: ("run.snapshot_kept", _plain),
    run.SnapshotMissed: ("run.snapshot_missed", _plain),
    steering.MessageQueued: ("message.queued", _plain),
    steering.MessageEdited: ("message.edited", _plain),
    steering.MessageWithdrawn: ("message.withdrawn", _plain),
    steering.MessagesReordered: ("message.reordered", _plain),
    steering.MessageDelivered: ("message.delivered", _plain),
    steering.MessageTaken: ("message.taken", _plain),
    steering.MessageReturned: ("message.returned", _plain),
    steering.RunSteered: ("run.steered", _plain),
    steering.InboxClosed: ("message.closed", _plain),
    spend.ModelAnswered: ("model.answered", _plain),
    forge.PullRequestEnded: ("pull_request.ended", _plain),
}
