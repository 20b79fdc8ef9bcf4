"""From what Trunkline says of messages to agents to what an orchestrator client reads."""

from __future__ import annotations

from typing import Final

from pydantic import JsonValue

from trunkline.contracts.ids import TaskId
from trunkline.contracts.steering import MessageQueueView, MessageState, MessageView, Steer
from trunkline_gateway.dialects.orchestrator import names
from trunkline_gateway.dialects.orchestrator.encode import Object, moment

WAITING: Final = (MessageState.QUEUED, MessageState.DELIVERED)
STEERED: Final = {
    Steer.INTERRUPT: "The agent will be interrupted; its events say when",
    Steer.PAUSE: "The run will pause; its events say when",
    Steer.RESUME: "The run will go on; its events say when",
}


def said(task: TaskId, message: str) -> Object:
    return _about(task, "Message queued") | {"message_id": message}


def changed(task: TaskId, message: str) -> Object:
    return _about(task, "Message changed") | {"message_id": message}


def withdrawn(task: TaskId, message: str) -> Object:
    return _about(task, "Message withdrawn") | {"message_id": message}


def ordered(task: TaskId, messages: tuple[str, ...]) -> Object:
    return _about(task, "Messages ordered") | {"message_ids": list(messages)}


def steered(task: TaskId, steer: Steer) -> Object:
    return _about(task, STEERED[steer]) | {"action": steer.value}


def queue(view: MessageQueueView) -> Object:
    shown: list[JsonValue] = [_message(one) for one in view.messages]
    waiting = sum(one.state in WAITING for one in view.messages)
    counts: Object = {"count": len(shown), "waiting": waiting}
    return {"success": True, "task_id": names.task(view.task_id), **counts, "messages": shown, "paused": view.paused, "closed": view.closed}


def _message(view: MessageView) -> Object:
    return {
        "message_id": view.message_id,
        "text": view.text,
        "cut": view.cut,
        "by": view.by,
        "state": view.state.value,
        "edits": view.edits,
        "queued_at": moment(view.queued_at),
        "delivered_at": moment(view.delivered_at) if view.delivered_at else None,
        "taken_at": moment(view.taken_at) if view.taken_at else None,
    }


def _about(task: TaskId, message: str) -> Object:
    return {"success": True, "task_id": names.task(task), "message": message}
