"""What an agent needs of the bus: to ask, and to be told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Hear = Callable[[str, bytes], None]
"""Told of what the control plane says by itself: the last word of the subject, and the body."""


class Wire(Protocol):
    """One way to the control plane. Everything happens in the event loop of whoever calls `run`."""

    async def run(self, hear: Hear) -> None:
        """Keep the way open until cancelled. Raises AgentError when it will not open any more."""

    async def ask(self, verb: str, body: bytes, seconds: float) -> bytes:
        """The bytes of the answer. Raises AwayError when none came within so many seconds."""
