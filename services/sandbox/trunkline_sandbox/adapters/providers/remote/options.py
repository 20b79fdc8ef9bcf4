"""How long a cloud is waited for, and what may be carried there and back."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from trunkline.contracts.errors import DomainError


@dataclass(frozen=True, slots=True)
class RemoteOptions:
    """Times in seconds, sizes in bytes."""

    folder: Path
    """Where workspaces that come back lie, on this machine."""
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
    look_s: float = 1.0
    """Between two looks at an image that is built."""
    away_s: float = 300.0
    """For which the cloud may be away while an agent is listened to."""
    silence_s: float = 20.0
    """Without a sign of life on the log, after which its connection counts as lost; the porter beats every 5 s."""
    lives_s: float = 86400.0
    """Beyond its program's wall clock, after which the cloud itself ends a sandbox that we forgot."""
    named_s: float = 61 * 86400.0
    """The same for a named sandbox, which has no program's clock: longer than any may live."""
    workspace: int = 4 << 30

    def pause(self, attempt: int, error: DomainError | None = None) -> float:
        """Seconds before the next try, with jitter; what the cloud asks for, up to 10 s."""
        asked = error.details.get("retry_after") if error else None
        least = min(10.0, float(asked)) if isinstance(asked, int | float) else 0.0
        return max(least, self.pause_s * (1 << (attempt - 1))) * random.uniform(0.75, 1.25)
