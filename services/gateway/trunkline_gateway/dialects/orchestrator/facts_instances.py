"""What an agent that calls home says and is told, and how its workflow run goes, in the words of this surface."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import JsonValue

from trunkline.contracts import dispatch, instance
from trunkline.contracts.message import Fact
from trunkline_gateway.dialects.orchestrator import names
from trunkline_gateway.dialects.orchestrator.encode import moment

Object = dict[str, JsonValue]
Tell = Callable[[str, Any], Object]
"""From the id of the task and the fact."""
Tried = dispatch.DispatchTried | dispatch.WorkflowCancelTried


def _plain(task_id: str, fact: Fact) -> Object:
    """Without what only tells a repeat from something new."""
    return fact.model_dump(mode="json", exclude={"type", "digest"})


def _told(task_id: str, fact: instance.InstanceTold) -> Object:
    """The fact as it is, but for the name of the approval, which is that of the surface."""
    return {**_plain(task_id, fact), "approval_id": names.approval(task_id, fact.approval_id) if fact.approval_id else None}


def _wanted(task_id: str, fact: dispatch.DispatchWanted) -> Object:
    """Of the key nothing but its name and its end."""
    plain = fact.model_dump(mode="json", exclude={"type", "key"})
    return {**plain, "key_id": fact.key.key_id, "key_expires_at": moment(fact.key.expires_at)}


def _tried(task_id: str, fact: Tried) -> Object:
    return {**_plain(task_id, fact), "again_at": moment(fact.again_at) if fact.again_at else None}


TOLD: Final[Mapping[type[Fact], tuple[str, Tell]]] = {
    instance.InstanceOpened: ("instance.opened", _plain),
    instance.InstanceSaid: ("instance.said", _plain),
    instance.InstanceTold: ("instance.told", _told),
    instance.InstanceAsked: ("instance.asked", _plain),
    instance.InstanceRead: ("instance.read", _plain),
    instance.InstanceMoved: ("instance.moved", _plain),
    instance.InstanceDiffed: ("instance.diffed", _plain),
    dispatch.DispatchWanted: ("dispatch.wanted", _wanted),
    dispatch.DispatchTried: ("dispatch.tried", _tried),
    dispatch.WorkflowRunSeen: ("dispatch.run_seen", _plain),
    dispatch.WorkflowRunTold: ("dispatch.run_told", _plain),
    dispatch.DispatchGivenUp: ("dispatch.given_up", _plain),
    dispatch.WorkflowCancelTried: ("dispatch.cancel_tried", _tried),
    dispatch.InstanceKeyRevoked: ("dispatch.key_revoked", _plain),
}
