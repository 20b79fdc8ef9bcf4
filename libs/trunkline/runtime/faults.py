"""Named fault points: they do nothing unless a test armed them, and then they kill a process at exactly that place."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Final

DIRECTORY: Final = "TRUNKLINE_FAULTS"
"""Environment variable naming a directory; a file in it named like a point arms that point once."""

MOMENTS: Final = ("accepted", "sandbox_made", "cloned", "agent_running", "committed", "judged", "pushed", "pull_request_opened")
"""Of every job."""
WAITS: Final = ("asked", "answered", "parked", "woken", "message_taken", "rested")
"""Of jobs that ask people, are spoken to, or are put aside meanwhile."""
NAMED: Final = ("accepted", "entered", "checked", "agent_running", "concluded")
"""Of jobs in sandboxes that stay."""
INSTANCES: Final = ("dispatch_wanted", "dispatch_sent", "run_seen", "key_revoked", "instance_said", "instance_read")
"""Of agents elsewhere: workflows that are started, followed and ended, and what is said with them."""
LETTERS: Final = ("letter_requeued",)
"""Of what was given up on, and is tried once more."""
SIDES: Final = ("before_effect", "after_effect", "after_record")
POINTS: Final = tuple(f"{moment}.{side}" for moment in MOMENTS for side in SIDES)

_armed: Final = os.environ.get(DIRECTORY)


def faultpoint(name: str) -> None:
    """Kill what the arming file says (`self` or process ids), once; a killed other process leaves us running."""
    if _armed is None:
        return
    for victim in _disarm(Path(_armed) / name):
        os.kill(os.getpid() if victim == "self" else int(victim), signal.SIGKILL)


def _disarm(arming: Path) -> list[str]:
    """The victims, read by whoever is first to take the file away."""
    taken = arming.with_name(f"{arming.name}.taken.{os.getpid()}")
    try:
        arming.rename(taken)
    except OSError:
        return []
    return taken.read_text().split()
