"""What happens to an instance, as the frames of its stream."""

from __future__ import annotations

from typing import Final

import orjson
from pydantic import JsonValue

from trunkline.contracts.cursor import Cursor
from trunkline.contracts.ids import TaskId, wire_id
from trunkline.contracts.instance import InstanceAsked, InstanceDiffed, InstanceMoved, InstanceSaid, InstanceStatus, InstanceTold
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Event, Gap
from trunkline.contracts.task import TaskCancelled, TaskFailed, TaskSucceeded
from trunkline_gateway.dialects.omnara.names import iso
from trunkline_gateway.usecases.instance_stream import Beat, Failure, Heard

LOST: Final = "what lies behind the place named is lost; what is kept follows"
Object = dict[str, JsonValue]


def connected(task: TaskId, after: Cursor | None) -> bytes:
    """Its id is the place from which whoever is cut before the first event goes on."""
    return _frame("connected", {"instance_id": wire_id(task)}, after)


def frame(heard: Heard, task: TaskId) -> bytes:
    """Nothing for what means nothing here."""
    id = wire_id(task)
    match heard:
        case Event():
            told = _happened(heard, id)
            return _frame(*told, heard.cursor) if told else b""
        case Gap():
            return _frame("error", {"error": LOST})
        case Beat(at=at):
            return _frame("agent_heartbeat", {"instance_id": id, "last_heartbeat_at": iso(at)})
        case Failure(error=error):
            return _frame("error", {"error": error.message})
        case _:
            return _frame("heartbeat", {"timestamp": iso(heard.at)})


def _happened(event: Event, id: str) -> tuple[str, Object] | None:
    fact = event.fact
    match fact:
        case InstanceSaid():
            said: Object = {"requires_user_input": fact.asks, "message_metadata": fact.metadata or None, "instance_id": id}
            return "message", {**_spoken(fact, "AGENT"), "created_at": iso(event.at), **said}
        case InstanceTold():
            told: Object = {"requires_user_input": False, "message_metadata": None, "instance_id": id}
            return "message", {**_spoken(fact, "USER"), "created_at": iso(event.at), **told}
        case InstanceAsked():
            asked: Object = {"requires_user_input": True, "old_requires_user_input": False, "instance_id": id}
            return "message_update", {**_spoken(fact, "AGENT"), "updated_at": iso(event.at), **asked}
        case InstanceDiffed():
            return "git_diff_update", {"instance_id": id, "git_diff": fact.diff}
        case _:
            status = _status(fact)
            moved: Object = {"event_type": "status_update", "instance_id": id, "status": status, "timestamp": iso(event.at)}
            return ("status_update", moved) if status else None


def _spoken(fact: InstanceSaid | InstanceTold | InstanceAsked, sender: str) -> Object:
    return {"id": wire_id(fact.message_id), "content": fact.text, "sender_type": sender}


def _status(fact: Fact) -> str:
    match fact:
        case InstanceMoved():
            return fact.status.value
        case TaskSucceeded():
            return InstanceStatus.COMPLETED.value
        case TaskFailed():
            return InstanceStatus.FAILED.value
        case TaskCancelled():
            return InstanceStatus.KILLED.value
        case _:
            return ""


def _frame(name: str, said: Object, place: Cursor | None = None) -> bytes:
    id = b"id: %b\n" % str(place).encode() if place else b""
    return b"event: %b\n%bdata: %b\n\n" % (name.encode(), id, orjson.dumps(said))
