"""A message that an agent may have lost with what it was doing is told once more, under a name of its own."""

from __future__ import annotations

from typing import Final

from trunkline_sandbox.model.conversation import Talk

_AGAIN: Final = "again-"


def again(message: str) -> str:
    """The name under which it is told once more: always the same, so that it is told once, whoever tells it."""
    return f"{_AGAIN}{message}"


def is_again(name: str) -> bool:
    return name.startswith(_AGAIN)


def meanwhile(text: str) -> str:
    """What it is told then."""
    return f"Meanwhile somebody said: {text}"


def has(talk: Talk, message: str) -> bool:
    """Whether the agent is seen to have it, under either name."""
    return message in talk.heard or again(message) in talk.heard
