"""How Daytona is reached, and how long it is waited for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DaytonaOptions:
    """Times in seconds, sizes in bytes."""

    folder: Path
    """Where workspaces that come back lie, on this machine."""
    api_key: str = field(repr=False)
    api_url: str = "https://app.daytona.io/api"
    target: str = ""
    """The region; empty: the account's own."""
    snapshot: str = ""
    """What sandboxes are made from; empty: Daytona's own default."""
    fleet: str = "trunkline"
    """Tells our sandboxes from those of others in the same account."""
    boot_s: float = 120.0
    """For a sandbox to become ready."""
    call_s: float = 30.0
    """For one call."""
    porter_s: float = 40.0
    """For what our porter does inside, but for packing workspaces: it waits up to 15 s for a lock and as long for a start."""
    move_s: float = 600.0
    """For a workspace to be carried there or back."""
    pause_s: float = 0.5
    """Before a call is repeated; then twice that."""
    away_s: float = 300.0
    """For which Daytona may be away while an agent is listened to."""
    silence_s: float = 20.0
    """Without a sign of life on the log, after which its connection counts as lost; the porter beats every 5 s."""
    lives_s: float = 86400.0
    """Beyond its program's wall clock, after which Daytona destroys a sandbox that we forgot."""
    named_s: float = 61 * 86400.0
    """The same for a named sandbox, which has no program's clock: longer than any may live."""
    workspace: int = 4 << 30
