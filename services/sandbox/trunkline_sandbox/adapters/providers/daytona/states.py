"""What Daytona's words for a sandbox's state mean to us. Pure."""

from __future__ import annotations

from typing import Final

from trunkline_sandbox.adapters.providers.remote.cloud import Meaning

_MEANINGS: Final[dict[str, Meaning]] = {
    "started": "ready",
    "stopped": "stopped",
    "archived": "stopped",
    "paused": "stopped",
    "creating": "creating",
    "starting": "creating",
    "restoring": "creating",
    "pending_build": "creating",
    "building_snapshot": "creating",
    "pulling_snapshot": "creating",
    "destroyed": "gone",
    "destroying": "gone",
    "stopping": "moving",
    "archiving": "moving",
    "pausing": "moving",
    "resuming": "moving",
    "resizing": "moving",
    "snapshotting": "moving",
    "forking": "moving",
}


def meaning(state: str) -> Meaning:
    """A word that is not known is an error: what Daytona does then, nobody told us."""
    return _MEANINGS.get(state, "error")
