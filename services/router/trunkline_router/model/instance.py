"""What the router remembers of an agent instance, folded from its facts."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

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
from trunkline.contracts.message import Fact

SHOWN: Final = 8000
"""Characters of an agent's message that are remembered, for the question that it may become."""
MOST_GIVEN: Final = 500 << 10
"""Bytes of messages in one answer; what is left waits for the next."""
MOST_LATELY: Final = 128
"""Messages that an agent may say at once and say again: the SDK opens a hundred connections at most."""
MOST_AGAIN: Final = 8 << 20
"""Characters that their answers gave, and may have to give again."""


class Said(NamedTuple):
    """The newest message of one side, while nothing shows that its sender knows that it is there."""

    message_id: str
    digest: str
    at: datetime
    by: str = ""
    gave: tuple[InstanceMessage, ...] = ()
    """What went out with its answer."""


class Taken(NamedTuple):
    """The newest handing out of what people said: from which message on, and what."""

    from_id: str
    messages: tuple[InstanceMessage, ...]
    at: datetime


class Closed(NamedTuple):
    """The newest question that was closed without its approval: by a message, or because its agent went on."""

    question: str
    text: str = ""
    """Of the message, shortened."""
    by: str = ""


class Instance(NamedTuple):
    """What must be known of an instance to decide what comes next."""

    owner: str
    agent_type: str
    name: str
    transport: str
    status: InstanceStatus
    heard_at: datetime
    """When its agent last said or took something, heartbeats aside."""
    opened_at: datetime
    dispatched: bool
    """It was not there yet when it was opened: Trunkline was to start it."""
    last_read: str = ""
    queued: tuple[InstanceMessage, ...] = ()
    """What people said and the agent did not take yet."""
    asks: dict[str, bool] = {}
    """Every message of the agent, and whether it asks."""
    people: frozenset[str] = frozenset()
    """Every message of people."""
    text: str = ""
    """Of the newest message of the agent, shortened."""
    question: str = ""
    """The message whose question is open."""
    closed: Closed | None = None
    said: Said | None = None
    lately: tuple[Said, ...] = ()
    """The last messages of the agent, the newest last, of which nothing shows that their answers came: it may say several at once."""
    told: Said | None = None
    taken: Taken | None = None
    gave: tuple[InstanceMessage, ...] = ()
    """What went out with the answer to the newest message of the agent."""
    diff: str = ""
    """Digest of the newest diff."""
    code: str = ""
    why: str = ""
    """How it ended, where it failed."""

    @property
    def messages(self) -> int:
        return len(self.asks) + len(self.people)

    @property
    def newest(self) -> str:
        """The newest message of the agent."""
        return next(reversed(self.asks), "")

    @property
    def waiting(self) -> tuple[InstanceMessage, ...]:
        """What goes out with the next answer: the oldest of what waits, and no more than an answer can carry."""
        room, out = MOST_GIVEN, 0
        for message in self.queued:
            room -= len(message.written())
            if room < 0 and out:
                break
            out += 1
        return self.queued[:out]


def evolve(instance: Instance | None, fact: Fact, at: datetime) -> Instance | None:
    """The instance after one more fact; facts of other versions change nothing."""
    if isinstance(fact, InstanceOpened):
        return instance or Instance(
            fact.owner, fact.agent_type, fact.name, fact.transport, fact.status, at, at, fact.status is InstanceStatus.DISCONNECTED
        )
    return _evolved(instance, fact, at) if instance else None


def _evolved(instance: Instance, fact: Fact, at: datetime) -> Instance:
    match fact:
        case InstanceSaid():
            return _said(instance, fact, at)
        case InstanceTold():
            return _told(instance, fact, at)
        case InstanceAsked():
            asked = instance._replace(asks={**instance.asks, fact.message_id: True}, said=None, told=None, heard_at=at)
            asked = _heard(asked, fact.message_id)
            gone = _given(asked, fact.gave, fact.message_id, at)
            return gone._replace(question="" if fact.gave else fact.message_id, closed=_gone_on(instance, fact.closes))
        case InstanceRead():
            read = _heard(instance, instance.newest)._replace(said=None, told=None, heard_at=at)
            return _given(read, fact.gave, fact.from_id, at)
        case InstanceMoved():
            return _moved(instance, fact, at)
        case InstanceDiffed():
            return instance._replace(diff=fact.digest)
        case _:
            return instance


def _said(instance: Instance, fact: InstanceSaid, at: datetime) -> Instance:
    out = frozenset(fact.gave)
    gave = tuple(each for each in instance.queued if each.message_id in out)
    said = Said(fact.message_id, fact.digest, at, gave=gave)
    return instance._replace(
        last_read=fact.message_id,
        gave=gave,
        queued=tuple(each for each in instance.queued if each.message_id not in out),
        asks={**instance.asks, fact.message_id: fact.asks},
        text=fact.text[:SHOWN],
        question=fact.message_id if fact.asks else "",
        closed=_gone_on(instance, fact.closes),
        said=said,
        lately=_remembered(instance.lately, said),
        told=None,
        taken=None,
        heard_at=at,
    )


def _told(instance: Instance, fact: InstanceTold, at: datetime) -> Instance:
    """What is marked as read moves the place of reading; what waited before it still waits."""
    message = InstanceMessage(message_id=fact.message_id, text=fact.text, agent=False, by=fact.by, at=at)
    return _heard(instance, fact.answers)._replace(  # asked anew, it is another question
        people=instance.people | {fact.message_id},
        queued=instance.queued if fact.read else (*instance.queued, message),
        last_read=fact.message_id if fact.read else instance.last_read,
        question="" if fact.answers else instance.question,
        closed=_answered(instance, fact),
        told=Said(fact.message_id, fact.digest, at, fact.by),
    )


def _remembered(before: tuple[Said, ...], said: Said) -> tuple[Said, ...]:
    """Those that had a name of their own are known by it."""
    if not said.digest:
        return before
    kept = (*before, said)[-MOST_LATELY:]
    while len(kept) > 1 and sum(len(message.text) for each in kept for message in each.gave) > MOST_AGAIN:
        kept = kept[1:]
    return kept


def _heard(instance: Instance, message: str) -> Instance:
    """Its sender knows of it: the same words are another message from now on."""
    if not any(each.message_id == message for each in instance.lately):
        return instance
    return instance._replace(lately=tuple(each for each in instance.lately if each.message_id != message))


def _gone_on(instance: Instance, closes: str) -> Closed | None:
    return Closed(closes) if closes else instance.closed


def _answered(instance: Instance, fact: InstanceTold) -> Closed | None:
    """Nothing more comes of an approval whose word was told."""
    if fact.approval_id:
        return None
    return Closed(fact.answers, fact.text[:SHOWN], fact.by) if fact.answers else instance.closed


def _given(instance: Instance, gave: tuple[str, ...], from_id: str, at: datetime) -> Instance:
    if not gave:
        return instance
    out = frozenset(gave)
    messages = tuple(each for each in instance.queued if each.message_id in out)
    left = tuple(each for each in instance.queued if each.message_id not in out)
    return instance._replace(queued=left, last_read=gave[-1], taken=Taken(from_id, messages, at))


def _moved(instance: Instance, fact: InstanceMoved, at: datetime) -> Instance:
    moved = instance._replace(status=fact.status, code=fact.code, why=fact.why)
    if fact.by:  # its agent said so: it knows what it said before
        moved = moved._replace(said=None, lately=(), told=None, heard_at=at)
    return moved._replace(question="") if fact.status.over else moved
