"""A named sandbox as its facts tell it, and what is to be done at its provider next. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from trunkline.contracts.message import Fact
from trunkline.contracts.sandbox import (
    SandboxBroke,
    SandboxDeleteWanted,
    SandboxFound,
    SandboxIsDeleted,
    SandboxIsReady,
    SandboxIsStopped,
    SandboxMade,
    SandboxStartWanted,
    SandboxStatus,
    SandboxStopWanted,
    SandboxTouched,
    SandboxUsed,
    SandboxView,
    SandboxWanted,
)


class Phase(StrEnum):
    MAKING = "making"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"
    STARTING = "starting"
    BROKEN = "broken"
    DELETING = "deleting"
    DELETED = "deleted"


class Effect(StrEnum):
    """What is done at a provider; each may be done twice."""

    MAKE = "make"
    START = "start"
    STOP = "stop"
    DELETE = "delete"
    CLEAN = "clean"
    """Nothing may be left of what never came to be."""


_EFFECTS: Final = {
    Phase.MAKING: Effect.MAKE,
    Phase.STARTING: Effect.START,
    Phase.STOPPING: Effect.STOP,
    Phase.DELETING: Effect.DELETE,
}
_STATUSES: Final = {
    Phase.MAKING: SandboxStatus.CREATING,
    Phase.STARTING: SandboxStatus.CREATING,
    Phase.READY: SandboxStatus.READY,
    Phase.STOPPING: SandboxStatus.STOPPED,
    Phase.STOPPED: SandboxStatus.STOPPED,
    Phase.BROKEN: SandboxStatus.ERROR,
    Phase.DELETING: SandboxStatus.DELETED,
    Phase.DELETED: SandboxStatus.DELETED,
}


@dataclass(frozen=True, slots=True)
class Named:
    """What we know of one sandbox."""

    wanted: SandboxWanted
    made_at: datetime
    """When it was wanted."""
    changed_at: datetime
    """When its phase changed last."""
    phase: Phase = Phase.MAKING
    ref: str = ""
    """The provider's own name for it, once it has one."""
    isolation: str = ""
    image: str = ""
    site: str = ""
    """Whose services alone reach it; empty: every replica does."""
    again: bool = False
    """To be started once it is stopped."""
    ready_at: datetime | None = None
    counted_until: datetime | None = None
    """Up to when its use is counted; None while it costs nothing."""
    touched_at: datetime | None = None
    used_s: float = 0.0
    cost_usd: float | None = None
    code: str = ""
    error: str = ""

    @property
    def kept(self) -> bool:
        """Whether its provider has something of its user's."""
        return self.ready_at is not None

    @property
    def over(self) -> bool:
        """Whether nobody can have it back."""
        return self.phase in (Phase.DELETING, Phase.DELETED)

    @property
    def status(self) -> SandboxStatus:
        return SandboxStatus.CREATING if self.again else _STATUSES[self.phase]

    @property
    def expires_at(self) -> datetime | None:
        return self.made_at + timedelta(seconds=self.wanted.terms.ttl_s) if self.wanted.terms.ttl_s else None

    @property
    def idle_at(self) -> datetime | None:
        """When it will have been idle for too long; None while it runs no such clock."""
        return (
            self.touched_at + timedelta(seconds=idle) if (idle := self.wanted.terms.idle_s) and self._ticking and self.touched_at else None
        )

    @property
    def next_due(self) -> datetime | None:
        """When the clock has to look at it."""
        return None if self.over else min((at for at in (self.expires_at, self.idle_at) if at), default=None)

    @property
    def _ticking(self) -> bool:
        return self.phase is Phase.READY


def next_effect(named: Named) -> Effect | None:
    """What its provider is to be asked for; nothing while all is as it is wanted."""
    if named.phase is Phase.BROKEN and not named.kept:
        return Effect.CLEAN
    return _EFFECTS.get(named.phase)


def evolve(named: Named | None, fact: Fact, at: datetime) -> Named | None:
    """The sandbox after one more fact; facts of other versions change nothing."""
    if named is None:
        return Named(fact, at, at) if isinstance(fact, SandboxWanted) else None
    match fact:
        case SandboxMade(ref=ref, isolation=isolation, image=image, site=site):
            return replace(named, ref=ref, isolation=isolation, image=image, site=site)
        case SandboxUsed(seconds=seconds, cost_usd=cost):
            total = named.cost_usd if cost is None else (named.cost_usd or 0) + cost
            return replace(named, used_s=named.used_s + seconds, cost_usd=total, counted_until=at)
        case SandboxTouched():
            return replace(named, touched_at=at)
        case _:
            return _moved(named, fact, at)


def _moved(named: Named, fact: Fact, at: datetime) -> Named:
    """After a fact that changes its phase."""
    match fact:
        case SandboxIsReady() | SandboxFound(state="ready"):
            return replace(_in(named, Phase.READY, at), ready_at=at, counted_until=at, touched_at=at, code="", error="")
        case SandboxStopWanted():
            return _in(named, Phase.STOPPING, at)
        case SandboxStartWanted():
            return replace(named, again=True) if named.phase is Phase.STOPPING else _in(named, Phase.STARTING, at)
        case SandboxIsStopped():
            return replace(_in(named, Phase.STARTING if named.again else Phase.STOPPED, at), counted_until=None)
        case SandboxFound():
            return replace(_in(named, Phase.STOPPED, at), counted_until=None, code="", error="")
        case SandboxBroke(code=code, error=error):
            return replace(_in(named, Phase.BROKEN, at), counted_until=None, code=code, error=error)
        case SandboxDeleteWanted():
            return _in(named, Phase.DELETING, at)
        case SandboxIsDeleted():
            return replace(_in(named, Phase.DELETED, at), counted_until=None)
        case _:
            return named


def _in(named: Named, phase: Phase, at: datetime) -> Named:
    return replace(named, phase=phase, changed_at=at, again=False)


def view(sandbox_id: str, named: Named) -> SandboxView:
    """The sandbox for people."""
    return SandboxView(
        sandbox_id=sandbox_id,
        user=named.wanted.user,
        owner=named.wanted.by,
        status=named.status,
        created_at=named.made_at,
        provider=named.wanted.provider,
        isolation=named.isolation,
        image=named.image,
        site=named.site,
        terms=named.wanted.terms,
        ready_at=named.ready_at,
        expires_at=named.expires_at,
        idle_at=named.idle_at,
        used_s=round(named.used_s, 3),
        cost_usd=named.cost_usd,
        code=named.code,
        error=named.error,
    )
