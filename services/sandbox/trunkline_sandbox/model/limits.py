"""What one sandbox may use, and how long it is wanted. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What one sandbox may use. Sizes in bytes, times in seconds."""

    cpus: float = 0.0
    """0: all there are, shared evenly when several want them."""
    memory: int = 2 << 30
    processes: int = 512
    file_size: int = 1 << 30
    disk: int = 4 << 30
    """Workspace and home together."""
    wall: float = 3600.0
    output: int = 16 << 20
    """How much of the agent's output is kept; the rest is read, counted and dropped."""
    line: int = 8 << 20
    """The longest line that is kept whole."""


@dataclass(frozen=True, slots=True)
class Span:
    """How long a named sandbox is wanted, in seconds; 0: for ever. Our own clocks go by it; a provider may be told, as a second net."""

    ttl: float = 0.0
    idle: float = 0.0
