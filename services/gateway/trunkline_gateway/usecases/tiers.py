"""How many jobs a caller of the open surface may start: strangers few, guests from GitHub some, our own most."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trunkline.auth.principal import Principal, Role, Tier
from trunkline.contracts.errors import Exhausted
from trunkline_gateway.ports import Counted, Limiter, Quota

_A_KEY: Final = " A key of this installation gives more."
_A_TOKEN: Final = " A token of GitHub's (Authorization: Bearer), or a key of this installation, gives more."


@dataclass(frozen=True, slots=True)
class Caller:
    """`address` is where the request comes from, `fingerprint` what the client calls itself, if it does."""

    principal: Principal
    address: str
    fingerprint: str = ""

    @property
    def tier(self) -> Tier:
        """Everybody who has a credential of this installation is pro."""
        principal = self.principal
        if principal.tier in (Tier.OPERATOR, Tier.PRO):
            return principal.tier
        if principal.role is Role.ANONYMOUS:
            return Tier.ANONYMOUS
        return Tier.AUTHENTICATED if principal.role is Role.GUEST else Tier.PRO

    @property
    def limit(self) -> str:
        """Its name in the settings."""
        return f"execute.{self.tier}"

    @property
    def names(self) -> tuple[str, ...]:
        """As whom it is counted. A stranger by both that are known: who changes one still has the other."""
        if self.principal.role is not Role.ANONYMOUS:
            return (f"{self.principal.tenant}/{self.principal.subject}",)
        return (f"@{self.address}", *([f"#{self.fingerprint}"] if self.fingerprint.strip() else []))


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left to a caller, by window in seconds; nothing where nobody counts."""

    tier: Tier
    windows: Mapping[int, Quota]
    upgrade_url: str
    retry_after: int | None = None
    """Nobody is refused for asking."""

    @property
    def tightest(self) -> Quota | None:
        """With least left; among equals, the one that has room last."""
        return min(self.windows.values(), key=lambda each: (each.remaining, -each.resets_at), default=None)

    async def quota(self) -> Quota:
        assert self.tightest, "where nobody counts there is nothing to be told"
        return self.tightest

    def wait(self, now: float) -> int | None:
        """Seconds until every window has room; nothing when they have. `now` in seconds since 1970."""
        full = [each.resets_at for each in self.windows.values() if each.remaining == 0]
        return max(1, math.ceil(max(full) - now)) if full else None


@dataclass(frozen=True, slots=True)
class Tiers:
    """`upgrade_url` is where a caller gets more; empty: nowhere. `guests`: whether a token of GitHub's makes somebody here."""

    limiter: Limiter
    upgrade_url: str = ""
    guests: bool = True

    async def admit(self, caller: Caller, id: str) -> Counted | None:
        """One job more of `caller`; nothing when nobody counts it. A request that may come again names itself by `id`.

        Raises Exhausted, and then nothing was counted anywhere; Unavailable when it cannot be counted.
        """
        if caller.tier is Tier.OPERATOR:
            return None
        return await self.limiter.admit(caller.limit, caller.names, id=id)

    async def give_back(self, counted: Counted | None) -> None:
        """A job that was let in and could not be begun."""
        if counted is not None:
            await self.limiter.give_back(counted)

    def refusal(self, caller: Caller, seconds: int) -> Exhausted:
        more = {Tier.ANONYMOUS: _A_TOKEN if self.guests else _A_KEY, Tier.AUTHENTICATED: _A_KEY}.get(caller.tier, "")
        message = f"Rate limit exceeded. Try again in {seconds} second{'' if seconds == 1 else 's'}.{more}"
        return Exhausted(message, code="RATE_LIMITED", retry_after=seconds, tier=caller.tier.value)

    async def standing(self, caller: Caller) -> Standing:
        """Without counting. Raises Unavailable."""
        counted = {} if caller.tier is Tier.OPERATOR else await self.limiter.standing(caller.limit, caller.names)
        return Standing(caller.tier, counted, self.upgrade_url)
