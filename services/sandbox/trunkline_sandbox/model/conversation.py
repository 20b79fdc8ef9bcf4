"""The conversation with an agent as values: what it is told, what it asks, what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from trunkline.contracts.run import AgentOutput, Usage


@dataclass(frozen=True, slots=True)
class Entry:
    """Something told to a program's stdin. Telling the same id again tells nothing."""

    id: str
    data: bytes = b""
    close: bool = False
    """Nothing more will come: stdin ends behind `data`."""


@dataclass(frozen=True, slots=True)
class Skill:
    """What an agent can do beyond working off one task."""

    steer: bool = False
    """Takes messages while it works; else when its turn is over."""
    resume: bool = False
    fork: bool = False
    ask: bool = False
    rewrite: bool = False
    reason: bool = False
    """A refusal can carry its reason; else it is told as the next message."""
    interrupt: bool = False


@dataclass(frozen=True, slots=True)
class AgentTask:
    prompt: str
    workspace: str = "/workspace"
    home: str = "/home/agent"
    session: str = ""
    """The conversation to go on with; empty: a new one."""
    fork: bool = False
    supervised: bool = False
    """Ask before acting: rules and people decide."""
    asked_always: tuple[str, ...] = ()
    """Tools that are asked about even where the agent itself would not ask."""
    sitting: int = 1
    model: str = ""
    """In the agent's own word; empty: its own choice."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What the agent itself said of its end, as far as it says such a thing."""

    ok: bool
    code: str = ""
    error: str = ""
    recoverable: bool = False
    summary: str = ""
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Ask:
    """A call that waits for a word. `id` is the agent's own."""

    id: str
    tool: str
    input: Mapping[str, JsonValue]
    argument: str
    """What says most: the command, the path."""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Talk:
    """What is known of a conversation, folded from its first line on; whoever takes over folds it again and knows as much."""

    session: str = ""
    ready: bool = False
    """It may be spoken to."""
    busy: bool = False
    turns: int = 0
    """Ended so far."""
    asks: tuple[Ask, ...] = ()
    """Unanswered as far as the program says (answered ones leave when it goes on)."""
    heard: tuple[str, ...] = ()
    """Ids of messages that it is seen to have, the newest three hundred."""
    ending: Ending | None = None
    notes: tuple[tuple[str, str], ...] = ()
    """What the adapter must remember; a mapping as pairs, so that the whole stays a value."""


@dataclass(frozen=True, slots=True)
class Heard:
    talk: Talk
    said: tuple[AgentOutput, ...] = ()
    owed: tuple[Entry, ...] = ()
    """What the protocol wants said now (handshakes)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an agent is told about a call."""

    allowed: bool
    reason: str = ""
    input: Mapping[str, JsonValue] | None = None
