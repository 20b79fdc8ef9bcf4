"""What people say to a running agent: a queue of messages and wishes, each seen, taken and answered for on the timeline."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from trunkline.contracts.ids import Token
from trunkline.contracts.message import Command, Fact, Message

MOST_QUEUED = 100
MOST_TEXT = 128 << 10
"""Bytes of UTF-8 in one message."""


class SayToAgent(Command):
    """Queue a message. Repeating it with the same id changes nothing."""

    type: Literal["say"] = "say"
    task_id: Token
    message_id: Token
    text: str = Field(min_length=1, max_length=MOST_TEXT)
    by: str


class EditMessage(Command):
    type: Literal["edit_message"] = "edit_message"
    task_id: Token
    message_id: Token
    text: str = Field(min_length=1, max_length=MOST_TEXT)
    by: str


class WithdrawMessage(Command):
    type: Literal["withdraw_message"] = "withdraw_message"
    task_id: Token
    message_id: Token
    by: str


class ReorderMessages(Command):
    """Name every message that still waits, in the order wanted."""

    type: Literal["reorder_messages"] = "reorder_messages"
    task_id: Token
    message_ids: tuple[Token, ...] = Field(max_length=MOST_QUEUED)
    by: str


class Steer(StrEnum):
    INTERRUPT = "interrupt"
    PAUSE = "pause"
    RESUME = "resume"


class SteerRun(Command):
    """Interrupt, pause or resume. Repeating it with the same id changes nothing; so does what is so already."""

    type: Literal["steer"] = "steer"
    task_id: Token
    wish_id: Token
    steer: Steer
    by: str


class ListMessages(Command):
    type: Literal["list_messages"] = "list_messages"
    task_id: Token


class MessageState(StrEnum):
    QUEUED = "queued"
    DELIVERED = "delivered"
    TAKEN = "taken"
    WITHDRAWN = "withdrawn"


class MessageView(Message):
    message_id: str
    text: str
    cut: bool = False
    """The text is longer than what is shown."""
    by: str
    state: MessageState
    edits: int = 0
    queued_at: datetime
    delivered_at: datetime | None = None
    taken_at: datetime | None = None


class MessageQueueView(Message):
    """The messages of a task: those that wait in their order, then the others, newest first, at most a hundred."""

    task_id: str
    messages: tuple[MessageView, ...]
    paused: bool = False
    closed: bool = False


class MessageQueued(Fact):
    type: Literal["inbox.queued"] = "inbox.queued"
    message_id: str
    text: str
    by: str


class MessageEdited(Fact):
    type: Literal["inbox.edited"] = "inbox.edited"
    message_id: str
    text: str
    by: str


class MessageWithdrawn(Fact):
    type: Literal["inbox.withdrawn"] = "inbox.withdrawn"
    message_id: str
    by: str
    reason: str = ""


class MessagesReordered(Fact):
    type: Literal["inbox.reordered"] = "inbox.reordered"
    message_ids: tuple[str, ...]
    by: str


class MessageDelivered(Fact):
    """Whoever carries the run has it; it may still be changed."""

    type: Literal["inbox.delivered"] = "inbox.delivered"
    message_id: str
    attempt: int


class MessageTaken(Fact):
    """It is the agent's now; recorded before it is told."""

    type: Literal["inbox.taken"] = "inbox.taken"
    message_id: str
    attempt: int
    sitting: int


class MessageReturned(Fact):
    """The conversation that had it is gone: it waits again, before all others, for the agent of this attempt."""

    type: Literal["inbox.returned"] = "inbox.returned"
    message_id: str
    attempt: int


class RunSteered(Fact):
    """Somebody wants the run interrupted, paused or resumed; what came of it stands among the facts of the run."""

    type: Literal["inbox.steered"] = "inbox.steered"
    wish_id: str
    steer: Steer
    by: str
    attempt: int = 0
    """At which the task was then; another has not begun what was to be interrupted."""


class InboxClosed(Fact):
    """The agent is done: nothing that is said now would reach it."""

    type: Literal["inbox.closed"] = "inbox.closed"
    attempt: int


InboxFact = Annotated[
    MessageQueued
    | MessageEdited
    | MessageWithdrawn
    | MessagesReordered
    | MessageDelivered
    | MessageTaken
    | MessageReturned
    | RunSteered
    | InboxClosed,
    Field(discriminator="type"),
]
