"""Views of agent instances: how one looks from outside right now, folded from its facts by a pure function."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from trunkline.contracts.instance import (
    InstanceAsked,
    InstanceDiffed,
    InstanceMessage,
    InstanceMoved,
    InstanceOpened,
    InstanceRead,
    InstanceSaid,
    InstanceStatus,
    InstanceTold,
)
from trunkline.contracts.message import Fact, Message

MOST_SHOWN: Final = 500 << 10
"""Bytes of messages in one answer; older messages are asked for by themselves."""


class InstanceView(Message):
    """An instance as a reader sees it."""

    tenant: str
    task_id: str
    agent_type: str
    name: str = ""
    transport: str = ""
    owner: str
    status: InstanceStatus
    started_at: datetime
    ended_at: datetime | None = None
    last_read: str | None = None
    heard_at: datetime
    """When it last said or took something, heartbeats aside."""
    diff: str | None = None
    messages: tuple[InstanceMessage, ...] = ()
    """The oldest first."""


def fold_instance(view: InstanceView | None, fact: Fact, at: datetime, where: tuple[str, str]) -> InstanceView | None:
    """The view after one more fact of its part; `where` is tenant and task. It holds every message: cut it with `newest`."""
    if isinstance(fact, InstanceOpened):
        return view or _first(fact, at, where)
    if view is None:
        return None
    changes = _changes(view, fact, at)
    return view.model_copy(update=changes) if changes else view


def newest(view: InstanceView, most: int, before: str | None = None) -> InstanceView:
    """With at most so many messages, those before `before`, and no more than one answer of the bus can carry."""
    found = view.messages
    if before is not None:
        place = next((index for index, each in enumerate(found) if each.message_id == before), len(found))
        found = found[:place]
    kept: list[InstanceMessage] = []
    room = MOST_SHOWN - len(view.model_copy(update={"messages": ()}).written())
    for message in reversed(found[max(len(found) - most, 0) :]):
        room -= len(message.written())
        if room < 0 and kept:
            break
        kept.append(message)
    return view.model_copy(update={"messages": tuple(reversed(kept))})


def _first(fact: InstanceOpened, at: datetime, where: tuple[str, str]) -> InstanceView:
    tenant, task = where
    return InstanceView(
        tenant=tenant,
        task_id=task,
        agent_type=fact.agent_type,
        name=fact.name,
        transport=fact.transport,
        owner=fact.owner,
        status=fact.status,
        started_at=at,
        heard_at=at,
    )


def _changes(view: InstanceView, fact: Fact, at: datetime) -> dict[str, object]:
    match fact:
        case InstanceSaid():
            said = InstanceMessage(message_id=fact.message_id, text=fact.text, agent=True, asks=fact.asks, at=at, metadata=fact.metadata)
            return {"messages": (*view.messages, said), "last_read": fact.message_id, "heard_at": at}
        case InstanceTold():
            told = InstanceMessage(message_id=fact.message_id, text=fact.text, agent=False, by=fact.by, at=at)
            read = {"last_read": fact.message_id} if fact.read else {}
            return {"messages": (*view.messages, told), **read}
        case InstanceAsked():
            asked = (each.model_copy(update={"asks": True}) if each.message_id == fact.message_id else each for each in view.messages)
            last = {"last_read": fact.gave[-1]} if fact.gave else {}
            return {"messages": tuple(asked), "heard_at": at, **last}
        case InstanceRead():
            return {"last_read": fact.to_id, "heard_at": at}
        case InstanceMoved():
            return {"status": fact.status, "ended_at": at if fact.status.over else None}
        case InstanceDiffed():
            return {"diff": fact.diff}
        case _:
            return {}
