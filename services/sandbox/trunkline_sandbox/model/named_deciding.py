"""What follows for a named sandbox from what happens to it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trunkline.contracts.errors import Conflict, NotFound
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
    SandboxStopWanted,
    SandboxTouched,
    SandboxUsed,
    Why,
)
from trunkline_sandbox.model.named import Effect, Named, Phase, next_effect
from trunkline_sandbox.model.named_cues import Claim, Count, Cue, Delete, Done, Failed, Lost, Made, Rung, Seen, Start, Stop, Touch, Want

COUNT_S: Final = 900.0
"""Between two counts of one that stays ready; each stop counts what is left."""
TOUCH_S: Final = 30.0
SITE_LOST: Final = "SANDBOX_SITE_LOST"
_GONE: Final = "the provider has it no more"
_WORD: Final = "the provider says that it is in error"


@dataclass(frozen=True, slots=True)
class Decide:
    """Decides with what an hour costs at each provider, in US dollars."""

    prices: Mapping[str, float]

    def __call__(self, named: Named | None, cue: Cue) -> tuple[Fact, ...]:
        """The facts that follow; none when it changes nothing. Raises NotFound, Conflict."""
        if isinstance(cue, Want):
            return () if named else (cue.wanted,)
        if named is None:
            raise unknown()
        match cue:
            case Start() | Stop() | Delete() | Touch():
                return _asked(named, cue)
            case Rung(at=at):
                return _rung(named, at)
            case Count(at=at):
                return self._counted(named, at) if named.counted_until and (at - named.counted_until).total_seconds() >= COUNT_S else ()
            case Made():
                return _made(named, cue) if named.phase is Phase.MAKING else ()
            case Claim():
                return _claimed(named, cue)
            case _:
                return self._told(named, cue)

    def _told(self, named: Named, cue: Done | Failed | Seen | Lost) -> tuple[Fact, ...]:
        """What a provider did, or says; what is not waited for any more changes nothing."""
        if isinstance(cue, Lost):
            told = _lost(named, cue)
        elif isinstance(cue, Seen):
            told = _seen(named, cue)
        elif next_effect(named) is not cue.effect:
            return ()
        else:
            told = _did(cue.effect) if isinstance(cue, Done) else (SandboxBroke(code=cue.code, error=cue.error),)
        return (*self._counted(named, cue.at), *told) if told else ()

    def _counted(self, named: Named, at: datetime) -> tuple[Fact, ...]:
        seconds = (at - named.counted_until).total_seconds() if named.counted_until else 0.0
        if seconds <= 0:
            return ()
        price = self.prices.get(named.wanted.provider)
        return (SandboxUsed(seconds=round(seconds, 3), cost_usd=None if price is None else round(price * seconds / 3600, 9)),)


def _made(named: Named, cue: Made) -> tuple[Fact, ...]:
    told = SandboxMade(ref=cue.ref, isolation=cue.isolation, image=cue.image, site=cue.site)
    known = (named.ref, named.isolation, named.image, named.site) == (told.ref, told.isolation, told.image, told.site)
    made = () if known else (told,)
    return (*made, SandboxIsReady()) if cue.ready else made


def _claimed(named: Named, cue: Claim) -> tuple[Fact, ...]:
    """Nobody noted a site of those that were made before there were sites, and of one that is being made only its maker does."""
    if named.site or named.phase is Phase.DELETED:
        return ()
    return (SandboxMade(ref=named.ref, isolation=named.isolation, image=named.image, site=cue.site),)


def _did(effect: Effect) -> tuple[Fact, ...]:
    match effect:
        case Effect.MAKE | Effect.START:
            return (SandboxIsReady(),)
        case Effect.STOP:
            return (SandboxIsStopped(),)
        case Effect.DELETE:
            return (SandboxIsDeleted(),)
        case Effect.CLEAN:
            return ()


def _asked(named: Named, cue: Start | Stop | Delete | Touch) -> tuple[Fact, ...]:
    if named.phase is Phase.DELETED or (named.over and not isinstance(cue, Delete)):
        raise unknown()
    match cue:
        case Start(by=by):
            return _start(named, by)
        case Stop(why=why, by=by):
            return _stop(named, why, by)
        case Delete(why=why, by=by):
            return () if named.over else (SandboxDeleteWanted(why=why, by=by),)
        case Touch(at=at):
            return (SandboxTouched(),) if _idles(named, at) else ()


def _start(named: Named, by: str) -> tuple[Fact, ...]:
    if named.phase is Phase.BROKEN and not named.kept:
        raise Conflict(f"this sandbox was never made ({named.code}); make another one", code="SANDBOX_NOT_READY")
    down = named.phase in (Phase.STOPPED, Phase.BROKEN) or (named.phase is Phase.STOPPING and not named.again)
    return (SandboxStartWanted(by=by),) if down else ()


def _stop(named: Named, why: Why, by: str) -> tuple[Fact, ...]:
    if named.phase in (Phase.MAKING, Phase.BROKEN):
        raise Conflict(
            f"a sandbox that is {named.status} cannot be stopped; wait until it is ready, or delete it", code="SANDBOX_NOT_READY"
        )
    up = named.phase in (Phase.READY, Phase.STARTING) or named.again
    return (SandboxStopWanted(why=why, by=by),) if up else ()


def _idles(named: Named, at: datetime) -> bool:
    often = min(TOUCH_S, named.wanted.terms.idle_s / 8) if named.wanted.terms.idle_s else TOUCH_S
    return named.phase is Phase.READY and named.touched_at is not None and (at - named.touched_at).total_seconds() >= often


def _rung(named: Named, at: datetime) -> tuple[Fact, ...]:
    if named.over:
        return ()
    if named.expires_at and at >= named.expires_at:
        return (SandboxDeleteWanted(why=Why.TTL),)
    return (SandboxStopWanted(why=Why.IDLE),) if named.idle_at and at >= named.idle_at else ()


def _seen(named: Named, cue: Seen) -> tuple[Fact, ...]:
    """Only what stands still is compared: what is under way says how it ends. A look that is older than it counts for nothing."""
    if named.phase not in (Phase.READY, Phase.STOPPED, Phase.BROKEN) or not named.kept or cue.at <= named.changed_at:
        return ()
    match cue.state:
        case "gone":
            return () if named.code == "SANDBOX_VANISHED" else (SandboxBroke(code="SANDBOX_VANISHED", error=_GONE),)
        case "error":
            return () if named.phase is Phase.BROKEN else (SandboxBroke(code="SANDBOX_ERROR", error=_WORD),)
        case "ready" if named.phase is not Phase.READY:
            return (SandboxFound(state="ready"),)
        case "stopped" if named.phase is not Phase.STOPPED:
            return (SandboxFound(state="stopped"),)
        case _:
            return ()


def _lost(named: Named, cue: Lost) -> tuple[Fact, ...]:
    """Nobody else can do what is left to be done; should its site come back, that says how it stands."""
    if named.phase is Phase.DELETING:
        return (SandboxIsDeleted(),)
    if named.phase in (Phase.BROKEN, Phase.DELETED) or not named.site:
        return ()
    silent = f"{cue.silent_s / 60:.0f} minutes" if cue.silent_s >= 120 else f"{cue.silent_s:.0f} s"
    told = f"the site that keeps it, {named.site}, has not been heard of for {silent}; it is there again, stopped, when that comes back"
    return (SandboxBroke(code=SITE_LOST, error=told),)


def unknown() -> NotFound:
    return NotFound("there is no sandbox by that id; create one", code="SANDBOX_NOT_FOUND")
