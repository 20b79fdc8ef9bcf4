"""Agent instances: tasks whose agents call home. What those agents and people say to each other, and how it stands with them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field

from trunkline.contracts.ids import Token
from trunkline.contracts.message import EMPTY, Command, Fact, JsonObject, Message

MOST_MESSAGES: Final = 10_000
"""Of one instance, by agent and people together."""
MOST_SAID: Final = 256 << 10
"""Characters of one message or diff: what the body of a request may hold."""
INPUT: Final = "input"
"""The kind of an approval that wants an answer in words."""
Alias = Annotated[str, Field(max_length=1100)]
Named = Annotated[str, Field(max_length=200)]


class InstanceStatus(StrEnum):
    """How it stands with an instance, in the words of its surface."""

    ACTIVE = "ACTIVE"
    AWAITING_INPUT = "AWAITING_INPUT"
    PAUSED = "PAUSED"
    STALE = "STALE"
    """Nothing was heard of it for a while."""
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    KILLED = "KILLED"
    DISCONNECTED = "DISCONNECTED"
    """It has not called yet, or said so itself."""

    @property
    def over(self) -> bool:
        return self in (InstanceStatus.COMPLETED, InstanceStatus.FAILED, InstanceStatus.KILLED)


def instance_subject(task: str) -> str:
    """Who calls with the key of an instance."""
    return f"instance:{task}"


def question_id(message: str) -> str:
    """The approval of a question, by its name within the task."""
    return f"q{message}"


class OpenInstance(Command):
    """Register an agent that calls home. One that is there is refused as such."""

    type: Literal["open_instance"] = "open_instance"
    task_id: Token
    agent_type: Named
    name: str = Field(default="", max_length=500)
    transport: str = Field(default="", max_length=64)
    aliases: tuple[Alias, ...] = Field(default=(), max_length=4)
    by: str


class SayAsInstance(Command):
    """An agent says something, or asks. Repeating it says it once; where no instance is, `agent_type` makes one."""

    type: Literal["say_as_instance"] = "say_as_instance"
    task_id: Token
    message_id: Token
    """For a message that is new."""
    text: str = Field(max_length=MOST_SAID)
    asks: bool = False
    """It wants input."""
    agent_type: Named = ""
    git_diff: str | None = Field(default=None, max_length=MOST_SAID)
    """What changed in the repository so far; empty: nothing any more."""
    metadata: JsonObject = EMPTY
    named: bool = False
    """The caller gave the request a key of its own: the same id is the same message, and nothing else is."""
    heard: str = Field(default="", max_length=64)
    """The newest message of the same words whose answer its sender had, as far as anybody knows: what comes now is another."""
    surely: bool = False
    """And such a sender never repeats what was answered."""
    aliases: tuple[Alias, ...] = Field(default=(), max_length=4)
    by: str


class TellInstance(Command):
    """Somebody says something to the agent, which may answer what it asked."""

    type: Literal["tell_instance"] = "tell_instance"
    task_id: Token
    message_id: Token
    text: str = Field(min_length=1, max_length=MOST_SAID)
    read: bool = False
    """The agent knows it already."""
    named: bool = False
    """As in SayAsInstance."""
    by: str


class AskInput(Command):
    """An agent wants input on what it said before."""

    type: Literal["ask_input"] = "ask_input"
    task_id: Token
    message_id: Token
    again: bool = False
    """The answer to the same request was lost, as far as anybody knows."""
    by: str


class ReadInstance(Command):
    """An agent takes what people said behind the message that it read last."""

    type: Literal["read_instance"] = "read_instance"
    task_id: Token
    after: Token | None = None
    """What it read last; None looks at what waits and takes nothing."""
    again: bool = False
    """As in AskInput."""
    by: str


class MoveInstance(Command):
    """An agent says how it stands with it, or that it is done. Saying the same again changes nothing."""

    type: Literal["move_instance"] = "move_instance"
    task_id: Token
    status: InstanceStatus
    by: str


class SettleInput(Command):
    """Make sure that what was decided about a question is told to its agent. Changes nothing when it was, or nothing was decided."""

    type: Literal["settle_input"] = "settle_input"
    task_id: Token
    approval_id: Token


class GetInstance(Command):
    """Read an instance with its newest messages. Answered with an InstanceView."""

    type: Literal["get_instance"] = "get_instance"
    task_id: Token
    messages: int = Field(default=50, ge=0, le=200)
    before: Token | None = None
    """Messages before this one."""


class InstanceMessage(Message):
    """One message as a reader sees it."""

    message_id: str
    text: str
    agent: bool
    """The agent said it, else somebody told it."""
    asks: bool = False
    by: str = ""
    at: datetime
    metadata: JsonObject = EMPTY


class InstanceAnswer(Message):
    """How it stands after a command: the body of the owner's answer."""

    task_id: str
    agent_type: str
    name: str = ""
    transport: str = ""
    status: InstanceStatus


class SaidAnswer(Message):
    """What became of an agent's message: the body of the owner's answer."""

    task_id: str
    message_id: str
    """Its own id, or that of the same message that was there before."""
    status: InstanceStatus
    queued: tuple[InstanceMessage, ...] = ()
    """What people had said meanwhile."""


class ToldAnswer(Message):
    """What became of a message to an agent: the body of the owner's answer."""

    message_id: str
    read: bool


class PendingAnswer(Message):
    """What waited for an agent: the body of the owner's answer."""

    task_id: str
    message_id: str = ""
    """Of the message that input was asked for."""
    stale: bool = False
    """Somebody else has read since."""
    messages: tuple[InstanceMessage, ...] = ()


class InstanceOpened(Fact):
    type: Literal["instance.opened"] = "instance.opened"
    agent_type: str
    name: str = ""
    transport: str = ""
    owner: str
    """Whose task it is."""
    status: InstanceStatus = InstanceStatus.ACTIVE


class InstanceSaid(Fact):
    """The agent said something."""

    type: Literal["instance.said"] = "instance.said"
    message_id: str
    text: str
    asks: bool = False
    metadata: JsonObject = EMPTY
    digest: str = ""
    """SHA-256 (hex) of all that was said with it, by which a repeat is known; empty where the caller named it itself."""
    gave: tuple[str, ...] = ()
    """Messages of people that went out with the answer."""
    closes: str = ""
    """The message whose question it leaves open for ever."""


class InstanceTold(Fact):
    """Somebody said something to the agent."""

    type: Literal["instance.told"] = "instance.told"
    message_id: str
    text: str
    by: str
    read: bool = False
    digest: str = ""
    answers: str = ""
    """The message whose question this answers."""
    approval_id: str = ""
    """The approval that said so, where one did."""


class InstanceAsked(Fact):
    """The agent wants input on what it said before."""

    type: Literal["instance.asked"] = "instance.asked"
    message_id: str
    text: str
    """What it said then."""
    gave: tuple[str, ...] = ()
    closes: str = ""
    """As in InstanceSaid."""


class InstanceRead(Fact):
    """The agent took what people had said."""

    type: Literal["instance.read"] = "instance.read"
    from_id: str
    to_id: str
    gave: tuple[str, ...]


class InstanceMoved(Fact):
    type: Literal["instance.moved"] = "instance.moved"
    status: InstanceStatus
    was: InstanceStatus
    by: str = ""
    """Who said so; empty: it follows from what was said."""
    code: str = ""
    why: str = ""


class InstanceDiffed(Fact):
    """The changes in its repository are others than before."""

    type: Literal["instance.diffed"] = "instance.diffed"
    digest: str
    diff: str


InstanceFact = Annotated[
    InstanceOpened | InstanceSaid | InstanceTold | InstanceAsked | InstanceRead | InstanceMoved | InstanceDiffed,
    Field(discriminator="type"),
]
