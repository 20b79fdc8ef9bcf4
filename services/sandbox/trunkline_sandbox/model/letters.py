"""The inbox of a run as its facts tell it: messages that wait, were taken or withdrawn, and what people want of the run itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from trunkline.contracts.message import Fact
from trunkline.contracts.steering import (
    MOST_TEXT,
    InboxClosed,
    MessageDelivered,
    MessageEdited,
    MessageQueued,
    MessageQueueView,
    MessageReturned,
    MessagesReordered,
    MessageState,
    MessageTaken,
    MessageView,
    MessageWithdrawn,
    RunSteered,
    Steer,
)

TEXTS_KEPT: Final = 100
"""Of messages that wait no more: the newest, as people read them."""
WISHES_KEPT: Final = 200
MOST_SHOWN: Final = 100
ANSWER: Final = 700_000
"""Bytes of text in one answer of the bus, which holds 1 MiB."""
CUTS: Final = (MOST_TEXT, 16 << 10, 4 << 10, 1 << 10)
"""Characters."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One message. The same id with the same count of edits has the same text."""

    id: str
    text: str
    by: str
    queued_at: datetime
    state: MessageState = MessageState.QUEUED
    edits: int = 0
    delivered_at: datetime | None = None
    taken_at: datetime | None = None
    attempt: int = 0
    """Which took it, with its sitting; 0 for none."""
    sitting: int = 0
    returned: bool = False
    """It was taken before, by an attempt that is over."""

    @property
    def entry(self) -> str:
        """What it is told under, so that telling it again tells it once."""
        return f"msg-{self.id}-{self.edits}"


@dataclass(frozen=True, slots=True)
class Inbox:
    """Everything that people said to one task's agent."""

    waiting: tuple[Letter, ...] = ()
    """In the order in which they are taken."""
    settled: tuple[Letter, ...] = ()
    """Taken or withdrawn, the newest last."""
    wishes: tuple[RunSteered, ...] = ()
    paused: bool = False
    closed: int = 0
    """The attempt that hears nothing any more; a later one hears again."""
    rests: int = 0
    """The attempt that somebody interrupted and nobody let go on since, but by a message perhaps; 0: none."""
    rests_anew: bool = False
    """It was interrupted while it was paused: what ends the pause does not end that."""

    def letter(self, id: str) -> Letter | None:
        return next((each for each in (*self.waiting, *self.settled) if each.id == id), None)

    def waits(self, id: str) -> bool:
        return any(each.id == id for each in self.waiting)

    def lost(self, attempt: int) -> tuple[Letter, ...]:
        """What an earlier attempt took, and the conversation of this one never held; of forgotten texts nothing can be told again."""
        return tuple(each for each in self.settled if each.state is MessageState.TAKEN and 0 < each.attempt < attempt and each.text)


EMPTY: Final = Inbox()


def evolve(inbox: Inbox | None, fact: Fact, at: datetime) -> Inbox:
    """The inbox after one more fact; facts of other versions change nothing."""
    inbox = inbox or EMPTY
    match fact:
        case MessageQueued():
            return replace(inbox, waiting=(*inbox.waiting, Letter(fact.message_id, fact.text, fact.by, at)))
        case MessagesReordered():
            places = {id: place for place, id in enumerate(fact.message_ids)}
            return replace(inbox, waiting=tuple(sorted(inbox.waiting, key=lambda each: places.get(each.id, len(places)))))
        case RunSteered():
            return _steered(replace(inbox, wishes=(*inbox.wishes, fact)[-WISHES_KEPT:]), fact)
        case InboxClosed():
            return replace(inbox, closed=max(fact.attempt, inbox.closed))
        case MessageEdited() | MessageDelivered() | MessageTaken() | MessageWithdrawn():
            found = next((each for each in inbox.waiting if each.id == fact.message_id), None)
            return _changed(inbox, found, fact, at) if found else inbox
        case MessageReturned():
            return _returned(inbox, fact.message_id)
        case _:
            return inbox


def _steered(inbox: Inbox, fact: RunSteered) -> Inbox:
    """A resume ends a pause, and the rest after an interruption that was there before it."""
    match fact.steer:
        case Steer.PAUSE:
            return replace(inbox, paused=True)
        case Steer.INTERRUPT:
            return replace(inbox, rests=fact.attempt, rests_anew=inbox.paused)
        case Steer.RESUME:
            return replace(inbox, paused=False, rests=inbox.rests if inbox.rests_anew else 0, rests_anew=False)


def _returned(inbox: Inbox, id: str) -> Inbox:
    """Before all that waits and was not returned; those that return together stand in the order in which they were taken."""
    found = next((each for each in inbox.settled if each.id == id), None)
    if found is None:
        return inbox
    again = Letter(found.id, found.text, found.by, found.queued_at, edits=found.edits, returned=True)
    first = sum(each.returned for each in inbox.waiting)
    waiting = (*inbox.waiting[:first], again, *inbox.waiting[first:])
    return replace(inbox, waiting=waiting, settled=tuple(each for each in inbox.settled if each.id != id))


def shown(inbox: Inbox | None, task_id: str, attempt: int) -> MessageQueueView:
    """As people read it while the task is at `attempt`. Long texts are cut where all of them together would not fit into one answer."""
    inbox = inbox or EMPTY
    letters = (*inbox.waiting, *reversed(inbox.settled))[:MOST_SHOWN]
    most = next((most for most in CUTS if sum(_size(each.text[:most]) for each in letters) <= ANSWER), CUTS[-1])
    messages = tuple(_shown(each, most) for each in letters)
    return MessageQueueView(task_id=task_id, messages=messages, paused=inbox.paused, closed=inbox.closed >= attempt)


def _shown(letter: Letter, most: int) -> MessageView:
    return MessageView(
        message_id=letter.id,
        text=letter.text[:most],
        cut=len(letter.text) > most,
        by=letter.by,
        state=letter.state,
        edits=letter.edits,
        queued_at=letter.queued_at,
        delivered_at=letter.delivered_at,
        taken_at=letter.taken_at,
    )


def _size(text: str) -> int:
    """At least as many bytes as it takes in JSON."""
    return len(json.dumps(text))


def _changed(inbox: Inbox, letter: Letter, fact: MessageEdited | MessageDelivered | MessageTaken | MessageWithdrawn, at: datetime) -> Inbox:
    match fact:
        case MessageEdited():
            return _instead(inbox, replace(letter, text=fact.text, edits=letter.edits + 1))
        case MessageDelivered():
            return _instead(inbox, replace(letter, state=MessageState.DELIVERED, delivered_at=letter.delivered_at or at))
        case MessageTaken():
            taken = replace(letter, state=MessageState.TAKEN, taken_at=at, attempt=fact.attempt, sitting=fact.sitting)
            return _settled(inbox, taken)
        case MessageWithdrawn():
            return _settled(inbox, replace(letter, state=MessageState.WITHDRAWN))


def _instead(inbox: Inbox, letter: Letter) -> Inbox:
    return replace(inbox, waiting=tuple(letter if each.id == letter.id else each for each in inbox.waiting))


def _settled(inbox: Inbox, letter: Letter) -> Inbox:
    settled = (*inbox.settled, letter)
    if len(settled) > TEXTS_KEPT:
        old = len(settled) - TEXTS_KEPT - 1
        settled = (*settled[:old], replace(settled[old], text=""), *settled[old + 1 :])
    return replace(inbox, waiting=tuple(each for each in inbox.waiting if each.id != letter.id), settled=settled)
