"""Whether the log is as it was written: what its witness says of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from trunkline.contracts.message import Command, Message


class Integrity(StrEnum):
    OFF = "off"
    """Nobody watches: the witness has no place to keep its book."""
    CHECKING = "checking"
    WHOLE = "whole"
    BROKEN = "broken"
    UNSIGNED = "unsigned"
    """The book cannot be written at this moment: what happens meanwhile is signed for once it can."""


class GetIntegrity(Command):
    """Ask a witness of the log how it stands."""

    type: Literal["get_integrity"] = "get_integrity"


class IntegrityView(Message):
    """The body of its answer."""

    state: Integrity
    relay: str = ""
    """Whose answer it is: each relay keeps a book of its own."""
    sealed: int = 0
    """The last sequence that was signed for."""
    at: datetime | None = None
    """When that was."""
    findings: tuple[str, ...] = ()
    """What is not as it was written, as sentences; the first hundred."""
    said: str = ""
    """What to do, where something is wrong."""
