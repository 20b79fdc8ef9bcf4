"""What is kept of a run for tasks that go on from it, as values."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.contracts.ids import SandboxId


@dataclass(frozen=True, slots=True)
class Held:
    """What is to be kept: the sandbox, the commit that its work began from, and the files of the conversation below its home."""

    id: SandboxId
    base: str
    session_files: tuple[str, ...] = ()
    last: bool = False
    """Nothing comes after it: it is kept however much was kept before."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Workspace and conversation as they stood, by a name within their attempt; without a name it has no conversation."""

    name: str
    commit: str
    without: str = ""
    """Why the conversation is not in it, as a sentence."""
