"""An instance and its task belong together: what task an agent gets that registers itself, and how the instance of a task begins."""

from __future__ import annotations

from typing import Final

from trunkline.contracts.instance import InstanceStatus, OpenInstance, SayAsInstance
from trunkline.contracts.message import Fact
from trunkline.contracts.task import (
    HOME_EXECUTORS,
    Assignment,
    Executor,
    TaskCancelled,
    TaskFailed,
    TaskStatus,
    TaskSubmitted,
    TaskSucceeded,
)
from trunkline_router.model.instance_cues import Opening, TaskEnded

SURFACE: Final = "omnara"
AGENT_TYPE: Final = "agent_type"
NAME: Final = "name"
TRANSPORT: Final = "transport"
_ENDED: Final = {
    TaskStatus.SUCCEEDED: InstanceStatus.COMPLETED,
    TaskStatus.FAILED: InstanceStatus.FAILED,
    TaskStatus.CANCELLED: InstanceStatus.KILLED,
}


def assignment(wish: OpenInstance | SayAsInstance) -> Assignment:
    """The task of an agent that somebody else started. It says how the instance begins, should we die before we make it."""
    name, transport = (wish.name, wish.transport) if isinstance(wish, OpenInstance) else ("", "")
    said = {AGENT_TYPE: wish.agent_type, NAME: name, TRANSPORT: transport}
    return Assignment(
        prompt=name or wish.agent_type,
        executor=Executor.CALLBACK,
        pool=SURFACE,
        surface=SURFACE,
        source=SURFACE,
        max_retries=0,
        labels={label: text for label, text in said.items() if text},
    )


def opening(submitted: TaskSubmitted, status: TaskStatus) -> Opening | None:
    """How the instance of a task begins that stands so; None where its agent is none."""
    asked = submitted.assignment
    if asked.executor not in HOME_EXECUTORS:
        return None
    dispatched = asked.executor is Executor.GITHUB_WORKFLOW
    begun = InstanceStatus.DISCONNECTED if dispatched else InstanceStatus.ACTIVE
    return Opening(
        agent_type=asked.workflow.agent_type if asked.workflow else asked.labels.get(AGENT_TYPE, "general"),
        name=asked.labels.get(NAME, ""),
        transport=asked.labels.get(TRANSPORT, ""),
        owner=submitted.submitted_by,
        status=_ENDED.get(status, begun),
        dispatched=dispatched,
    )


def ended(fact: Fact) -> TaskEnded | None:
    """What the end of its task is for the instance."""
    match fact:
        case TaskSucceeded():
            return TaskEnded(InstanceStatus.COMPLETED, "")
        case TaskFailed():
            return TaskEnded(InstanceStatus.FAILED, fact.error)
        case TaskCancelled():
            return TaskEnded(InstanceStatus.KILLED, fact.reason)
        case _:
            return None
