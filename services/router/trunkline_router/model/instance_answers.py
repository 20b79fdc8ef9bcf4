"""What the caller of an instance is told, from how it stands after the command and what the command led to."""

from __future__ import annotations

from datetime import timedelta

from trunkline.contracts.instance import (
    AskInput,
    InstanceAnswer,
    PendingAnswer,
    ReadInstance,
    SaidAnswer,
    SayAsInstance,
    TellInstance,
    ToldAnswer,
)
from trunkline_router.model.instance import Instance
from trunkline_router.model.instance_life import repeats
from trunkline_router.model.instance_repeats import message_digest, same_words


def standing(task: str, instance: Instance) -> InstanceAnswer:
    return InstanceAnswer(
        task_id=task, agent_type=instance.agent_type, name=instance.name, transport=instance.transport, status=instance.status
    )


def said(wish: SayAsInstance, instance: Instance) -> SaidAnswer:
    """The same for a repeat, with what went out the first time."""
    known = None if wish.message_id in instance.asks else same_words(instance, message_digest(wish))
    if known:
        return SaidAnswer(task_id=wish.task_id, message_id=known.message_id, status=instance.status, queued=known.gave)
    gave = instance.gave if wish.message_id == instance.newest else ()
    return SaidAnswer(task_id=wish.task_id, message_id=wish.message_id, status=instance.status, queued=gave)


def told(wish: TellInstance, instance: Instance) -> ToldAnswer:
    known = wish.message_id if wish.message_id in instance.people or instance.told is None else instance.told.message_id
    return ToldAnswer(message_id=known, read=wish.read)


def asked(wish: AskInput, instance: Instance) -> PendingAnswer:
    """What waited answers at once; else the question is open now, and stale where somebody has read behind its message."""
    taken = instance.taken if instance.question != wish.message_id else None
    gave = taken.messages if taken and taken.from_id == wish.message_id else ()
    stale = not gave and instance.last_read != wish.message_id
    return PendingAnswer(task_id=wish.task_id, message_id=wish.message_id, stale=stale, messages=gave)


def pending(wish: ReadInstance, instance: Instance, repeat: timedelta) -> PendingAnswer:
    """An answer that was lost, lately, is given once more."""
    taken = instance.taken
    if taken is not None and taken.from_id == wish.after and repeats(wish, taken.at, repeat):
        return PendingAnswer(task_id=wish.task_id, messages=taken.messages)
    if wish.after is None:
        return PendingAnswer(task_id=wish.task_id, messages=instance.waiting)
    return PendingAnswer(task_id=wish.task_id, stale=wish.after != instance.last_read)
