"""What may be done with the inbox of a run: say, change, withdraw, order, see, take and close, each as the facts it leads to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from trunkline.contracts.errors import Conflict, Invalid, NotFound
from trunkline.contracts.message import Fact
from trunkline.contracts.steering import (
    MOST_QUEUED,
    EditMessage,
    InboxClosed,
    MessageDelivered,
    MessageEdited,
    MessageQueued,
    MessageReturned,
    MessagesReordered,
    MessageState,
    MessageTaken,
    MessageWithdrawn,
    ReorderMessages,
    RunSteered,
    SayToAgent,
    Steer,
    SteerRun,
    WithdrawMessage,
)
from trunkline_sandbox.model.letters import EMPTY, Inbox, Letter, evolve, shown

__all__ = ["EMPTY", "Asked", "Close", "Cue", "Deliver", "Inbox", "Letter", "Take", "decide", "evolve", "may_hear", "shown"]

MOST_EVER: Final = 1000
"""Messages of one task, whatever became of them."""
NOBODY: Final = "trunkline"
"""Withdraws what can reach no agent any more."""
DONE: Final = "the agent is done"


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody's command, and the attempt that the task is at."""

    command: SayToAgent | EditMessage | WithdrawMessage | ReorderMessages | SteerRun
    attempt: int


@dataclass(frozen=True, slots=True)
class Deliver:
    """Whoever carries the run sees all that waits; what only an earlier attempt heard waits again."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Take:
    """One message is claimed for the agent."""

    message_id: str
    attempt: int
    sitting: int


@dataclass(frozen=True, slots=True)
class Close:
    """The agent hears nothing any more. With `unless_waiting` only if nothing waits for it; with `unless_wished` only if, beside that,
    nobody ever wished anything of this attempt: for who did not look before."""

    attempt: int
    unless_waiting: bool = False
    unless_wished: bool = False
    reason: str = DONE


Cue = Asked | Deliver | Take | Close


def may_hear(ours: bool, over: bool) -> None:
    """Whether a task has an agent that can be spoken to. Raises Conflict."""
    if not ours:
        told = "an agent that runs elsewhere has this task: nothing said here reaches it; publish an event about the task instead"
        raise Conflict(told, code="NOT_YOURS")
    if over:
        raise Conflict("the task is over, and its agent with it; submit another task", code="TASK_OVER")


def decide(inbox: Inbox | None, cue: Cue) -> tuple[Fact, ...]:
    """The facts that a cue leads to, none for a repeat. Raises Conflict, Invalid, NotFound; only on what somebody asked."""
    inbox = inbox or EMPTY
    match cue:
        case Asked():
            return _asked(inbox, cue)
        case Deliver():
            return _delivered(inbox, cue.attempt)
        case Take():
            return _taken(inbox, cue)
        case Close():
            return _closed(inbox, cue)


def _asked(inbox: Inbox, asked: Asked) -> tuple[Fact, ...]:
    match asked.command:
        case SayToAgent() as say:
            return _said(inbox, say, asked.attempt)
        case EditMessage() as edit:
            return _edited(inbox, edit)
        case WithdrawMessage() as withdraw:
            return _withdrawn(inbox, withdraw)
        case ReorderMessages() as order:
            return _reordered(inbox, order)
        case SteerRun() as steer:
            return _steered(inbox, steer, asked.attempt)


def _said(inbox: Inbox, say: SayToAgent, attempt: int) -> tuple[Fact, ...]:
    if inbox.letter(say.message_id):
        return ()
    _check_open(inbox, attempt)
    if len(inbox.waiting) >= MOST_QUEUED:
        raise Conflict(f"{MOST_QUEUED} messages wait already; withdraw some, or wait until the agent has taken them", code="INBOX_FULL")
    if len(inbox.waiting) + len(inbox.settled) >= MOST_EVER:
        raise Conflict(f"this task was told {MOST_EVER} messages, and takes no more; submit another task", code="INBOX_FULL")
    return (MessageQueued(message_id=say.message_id, text=say.text, by=say.by),)


def _edited(inbox: Inbox, edit: EditMessage) -> tuple[Fact, ...]:
    letter = _known(inbox, edit.message_id)
    if letter.text == edit.text and letter.state is not MessageState.WITHDRAWN:
        return ()
    _check_waits(inbox, letter)
    return (MessageEdited(message_id=edit.message_id, text=edit.text, by=edit.by),)


def _withdrawn(inbox: Inbox, withdraw: WithdrawMessage) -> tuple[Fact, ...]:
    letter = _known(inbox, withdraw.message_id)
    if letter.state is MessageState.WITHDRAWN:
        return ()
    _check_waits(inbox, letter)
    return (MessageWithdrawn(message_id=withdraw.message_id, by=withdraw.by),)


def _reordered(inbox: Inbox, order: ReorderMessages) -> tuple[Fact, ...]:
    wanted, there = order.message_ids, tuple(each.id for each in inbox.waiting)
    if len(set(wanted)) < len(wanted):
        raise Invalid("a message is named more than once; name each that waits once", code="NAMED_TWICE")
    if set(wanted) != set(there):
        raise Conflict("these are not the messages that wait now; read them again, and name every one that waits", code="QUEUE_DIFFERS")
    return () if wanted == there else (MessagesReordered(message_ids=wanted, by=order.by),)


def _steered(inbox: Inbox, steer: SteerRun, attempt: int) -> tuple[Fact, ...]:
    if any(wish.wish_id == steer.wish_id for wish in inbox.wishes):
        return ()
    if (steer.steer is Steer.PAUSE and inbox.paused) or (steer.steer is Steer.RESUME and not (inbox.paused or inbox.rests == attempt)):
        return ()
    if steer.steer is not Steer.RESUME:
        _check_open(inbox, attempt)
    return (RunSteered(wish_id=steer.wish_id, steer=steer.steer, by=steer.by, attempt=attempt),)


def _delivered(inbox: Inbox, attempt: int) -> tuple[Fact, ...]:
    lost = inbox.lost(attempt)
    seen = (*lost, *(each for each in inbox.waiting if not each.delivered_at))
    again = tuple(MessageReturned(message_id=each.id, attempt=attempt) for each in lost)
    return (*again, *(MessageDelivered(message_id=each.id, attempt=attempt) for each in seen))


def _taken(inbox: Inbox, take: Take) -> tuple[Fact, ...]:
    letter = inbox.letter(take.message_id)
    if letter is None or not inbox.waits(letter.id):
        return ()
    seen = () if letter.delivered_at else (MessageDelivered(message_id=letter.id, attempt=take.attempt),)
    return (*seen, MessageTaken(message_id=letter.id, attempt=take.attempt, sitting=take.sitting))


def _closed(inbox: Inbox, close: Close) -> tuple[Fact, ...]:
    if inbox.closed >= close.attempt or (close.unless_waiting and inbox.waiting):
        return ()
    if close.unless_wished and (inbox.waiting or inbox.lost(close.attempt) or _wished(inbox, close.attempt)):
        return ()
    return (*_dropped(inbox.waiting, close.reason), InboxClosed(attempt=close.attempt))


def _wished(inbox: Inbox, attempt: int) -> bool:
    return inbox.paused or any(wish.attempt == attempt for wish in inbox.wishes)


def _dropped(letters: Iterable[Letter], reason: str) -> tuple[Fact, ...]:
    return tuple(MessageWithdrawn(message_id=each.id, by=NOBODY, reason=reason) for each in letters)


def _known(inbox: Inbox, id: str) -> Letter:
    if letter := inbox.letter(id):
        return letter
    raise NotFound("there is no such message to this task", code="MESSAGE_NOT_FOUND", message_id=id)


def _check_waits(inbox: Inbox, letter: Letter) -> None:
    if letter.state is MessageState.TAKEN:
        raise Conflict("the agent has this message already; send another one", code="MESSAGE_TAKEN", message_id=letter.id)
    if not inbox.waits(letter.id):
        raise Conflict("this message was withdrawn; send another one", code="MESSAGE_WITHDRAWN", message_id=letter.id)


def _check_open(inbox: Inbox, attempt: int) -> None:
    if inbox.closed and inbox.closed >= attempt:
        raise Conflict("the agent is done, and its work is on its way: nothing reaches it any more", code="TASK_ENDING")
