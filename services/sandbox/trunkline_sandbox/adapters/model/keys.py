"""Which model door a launch uses, and the worthless token that opens only this door: derived, so that a restart finds them again."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DoorKey:
    """`token` is worth nothing anywhere else."""

    socket: Path
    token: str = field(repr=False)
    url: str = ""
    """Where an agent reaches it that cannot reach the socket; empty: nowhere."""


@dataclass(frozen=True, slots=True)
class DoorKeys:
    """Doors lie below `directory`, each in a folder of its own whose name nobody can guess without `secret`."""

    directory: Path
    secret: bytes = field(repr=False)
    """Must be the same in every replica and after every restart, or a running agent loses its model."""
    url: str = ""
    """Of all doors, where sandboxes are elsewhere."""

    def __call__(self, launch_key: str) -> DoorKey:
        place, token = (self._derive(purpose, launch_key) for purpose in ("place", "token"))
        return DoorKey(self.directory / place[:24] / "model.sock", f"trunkline-job-{token[:40]}", self.url)

    def _derive(self, purpose: str, launch_key: str) -> str:
        return hmac.new(self.secret, f"model-door/{purpose}/{launch_key}".encode(), hashlib.sha256).hexdigest()
