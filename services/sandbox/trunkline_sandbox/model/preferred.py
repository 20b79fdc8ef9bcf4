"""Which sandbox a user prefers: one at a time, chosen by whoever is first. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from json import dumps

from trunkline.contracts.message import Fact
from trunkline.contracts.sandbox import SandboxPreferred


@dataclass(frozen=True, slots=True)
class Prefer:
    """Take `sandbox_id` unless another than `instead_of` is preferred."""

    sandbox_id: str
    instead_of: str = ""


def decide(preferred: str | None, cue: Prefer) -> tuple[Fact, ...]:
    return (SandboxPreferred(sandbox_id=cue.sandbox_id),) if (preferred or "") == cue.instead_of else ()


def evolve(preferred: str | None, fact: Fact, _at: datetime | None = None) -> str | None:
    return fact.sandbox_id if isinstance(fact, SandboxPreferred) else preferred


def user_key(user: str, provider: str, owner: str | None) -> str:
    """Names a user within a tenant; nothing of what anybody wrote stands in it."""
    return sha256(dumps([owner, user, provider]).encode()).hexdigest()[:32]
