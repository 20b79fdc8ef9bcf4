"""What can happen to a named sandbox from outside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from trunkline.contracts.sandbox import SandboxWanted, Why
from trunkline_sandbox.model.named import Effect

State = Literal["ready", "stopped", "creating", "moving", "error", "gone"]
"""How a provider says that a sandbox stands."""


@dataclass(frozen=True, slots=True)
class Want:
    """Somebody wants it, unless it is there."""

    wanted: SandboxWanted


@dataclass(frozen=True, slots=True)
class Start:
    by: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    at: datetime
    why: Why = Why.ASKED
    by: str = ""


@dataclass(frozen=True, slots=True)
class Delete:
    why: Why = Why.ASKED
    by: str = ""


@dataclass(frozen=True, slots=True)
class Touch:
    at: datetime


@dataclass(frozen=True, slots=True)
class Rung:
    """Its clock looks at it."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Count:
    """Its use is to be counted, if it is long enough since it was."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Made:
    ref: str
    isolation: str
    image: str = ""
    ready: bool = False
    """At once, so that no second record has to say so."""
    site: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """A site has it, or sets about making it; the first one that says so counts."""

    site: str


@dataclass(frozen=True, slots=True)
class Done:
    """The provider did what it was asked for."""

    effect: Effect
    at: datetime


@dataclass(frozen=True, slots=True)
class Failed:
    """The provider did not, and will not be asked again for now."""

    effect: Effect
    at: datetime
    code: str
    error: str


@dataclass(frozen=True, slots=True)
class Seen:
    """How it stands at its provider, looked at while nothing is under way."""

    state: State
    at: datetime


@dataclass(frozen=True, slots=True)
class Lost:
    """Its site has not been heard of for too long."""

    at: datetime
    silent_s: float


Cue = Want | Start | Stop | Delete | Touch | Rung | Count | Made | Claim | Done | Failed | Seen | Lost
