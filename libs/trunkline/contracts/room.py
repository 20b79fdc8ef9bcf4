"""The room of a tenant: who of its tasks has a place, where only so many may be worked on at once, and who waits for one."""

from __future__ import annotations

from typing import Literal

from trunkline.contracts.ids import Token
from trunkline.contracts.message import Fact, Message


class Sitter(Message):
    """A task, by what its places are counted."""

    task: Token
    lane: Token
    repo: str = ""
    agent: str = ""
    """The one that it names; where it names none, its pool."""


class RoomEntered(Fact):
    """The task has a place until it ends."""

    type: Literal["room.entered"] = "room.entered"
    sitter: Sitter
    waited: bool = False
    since: int = 0
    """Where the room was counted last: whoever reads it begins there. So in all facts of a room."""


class RoomAwaited(Fact):
    """There is no place for the task now."""

    type: Literal["room.awaited"] = "room.awaited"
    sitter: Sitter
    full: tuple[str, ...]
    """What has no place left: `tenant`, `repository`, `agent`."""
    since: int = 0


class RoomLeft(Fact):
    """The task is over, or waits no more."""

    type: Literal["room.left"] = "room.left"
    task: Token
    since: int = 0


class RoomCounted(Fact):
    """Everybody who is there, so that nobody has to read what was before."""

    type: Literal["room.counted"] = "room.counted"
    inside: tuple[Sitter, ...]
    waiting: tuple[Sitter, ...]
    """Who waits longest first."""
    turns: int = 0
    since: int = 0


RoomFact = RoomEntered | RoomAwaited | RoomLeft | RoomCounted
