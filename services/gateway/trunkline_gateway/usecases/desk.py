"""The token desk: who gets which token, and what is revoked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from trunkline.auth.claims import ROLES, Token, fits
from trunkline.auth.keys import NO_KEYS, KeyRing
from trunkline.auth.principal import HOME, Principal, Role, Tier, is_strangers
from trunkline.contracts.errors import Denied, Invalid, Unauthenticated, Unavailable
from trunkline.contracts.ids import TenantId, token
from trunkline_gateway.ports import Roll, Signer

BELOW: Final[Mapping[Role, frozenset[Role]]] = {
    Role.ANONYMOUS: frozenset(),
    Role.GUEST: frozenset(),
    Role.INSTANCE: frozenset(),
    Role.USER: frozenset({Role.USER}),
    Role.APPROVER: frozenset({Role.APPROVER, Role.USER}),
    Role.AGENT: frozenset({Role.AGENT, Role.USER}),
    Role.ADMIN: frozenset({Role.ADMIN, Role.AGENT, Role.APPROVER, Role.USER}),
}
"""What each role may mint: itself, and what may do less."""
KEPT: Final = 3600.0
"""Seconds by which a revocation outlives whatever it revokes: as long as a ticket lives that was got with it at the last moment."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What is shown beside a credential."""

    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TokenWish:
    """Which token is wanted, as it was asked for. No tenant: the caller's own; no lifetime (seconds): the longest."""

    subject: str
    role: str
    tenant: str | None = None
    lifetime_s: float | None = None


@dataclass(frozen=True, slots=True)
class MintedToken:
    token: str = field(repr=False)
    expires_at: datetime
    principal: Principal


@dataclass(frozen=True, slots=True)
class Revocation:
    """One token or API key, or everything that one subject of the caller's tenant holds until now."""

    token: str | None = field(default=None, repr=False)
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Desk:
    signer: Signer
    roll: Roll
    now: Callable[[], datetime]
    open: bool = False
    """Needs no proof: for development on loopback."""
    keys: KeyRing = NO_KEYS
    """The API keys that count here: no other can be revoked."""

    async def mint(self, principal: Principal, proof: Proof, wish: TokenWish) -> MintedToken:
        """Raises Unavailable (NO_SECRET), Invalid (BAD_TOKEN_WISH), Unauthenticated (BAD_PROOF, NO_PROOF), Denied (NOT_YOURS_TO_MINT)."""
        if not self.signer.signs:
            raise Unavailable("no secret is configured to sign tokens with; set ORCHESTRATOR_JWT_SECRET", code="NO_SECRET")
        free = self._proven(proof) or self.open
        asked = wanted(wish, HOME if free else principal.tenant)
        if not free:
            _check(principal, asked)
        own = (asked.tenant, asked.subject) == (principal.tenant, principal.subject) and principal.tier is Tier.PRO
        asked = replace(asked, tier=Tier.PRO) if own else asked
        minted = self.signer.mint(asked, lifetime(wish.lifetime_s, self.signer.longest_s))
        return MintedToken(minted.text, datetime.fromtimestamp(minted.expires_at, UTC), asked)

    async def revoke(self, principal: Principal, wish: Revocation) -> None:
        """Returns when it is on disk; every gateway knows it a moment later. What expired so long ago that nothing lives on it is fine.

        Raises Unauthenticated (NO_PROOF), Invalid (BAD_TOKEN_WISH, BAD_TOKEN), Denied (NOT_YOURS_TO_REVOKE), Unavailable.
        """
        if principal.role is Role.ANONYMOUS:
            raise Unauthenticated("show the credential of whoever revokes", code="NO_PROOF")
        match wish:
            case Revocation(token=str(text), subject=None):
                await self._revoke_token(principal, text)
            case Revocation(token=None, subject=str(subject)):
                await self._revoke_subject(principal, subject)
            case _:
                raise _bad("token", "name either a token or a subject")

    def _proven(self, proof: Proof) -> bool:
        """A secret that is shown and wrong is refused, whoever shows it."""
        if proof.secret is None:
            return False
        if not self.signer.knows(proof.secret):
            raise Unauthenticated("this is not the secret that signs tokens here", code="BAD_PROOF")
        return True

    async def _revoke_token(self, principal: Principal, text: str) -> None:
        found = self.keys.find(text) or self._read(text)
        if found is None:
            return
        if found.principal.tenant != principal.tenant:
            raise _none()
        _check_revoker(principal, found.principal.subject)
        await self.roll.revoke_token(found, found.expires_at + KEPT)

    async def _revoke_subject(self, principal: Principal, subject: str) -> None:
        if not fits(subject):
            raise _bad("subject", "a subject is 1 to 128 printable characters")
        _check_revoker(principal, subject)
        before = self.now().timestamp()
        await self.roll.revoke_subject(principal.tenant, subject, before, before + self.signer.longest_s + KEPT)
        if key := self.keys.of(principal.tenant, subject):
            await self.roll.revoke_token(key, key.expires_at)

    def _read(self, text: str) -> Token | None:
        """Nothing when it has expired, and so has all that was got with it."""
        try:
            return self.signer.verify_late(text, KEPT)
        except Unauthenticated as error:
            if error.code == "TOKEN_EXPIRED":
                return None
            raise _none() from None


def wanted(wish: TokenWish, tenant: TenantId) -> Principal:
    """Whom the token is to stand for; `tenant` where the wish names none. Raises Invalid (BAD_TOKEN_WISH)."""
    if not fits(wish.subject):
        raise _bad("subject", "a subject is 1 to 128 printable characters, without space around them")
    if is_strangers(wish.subject):
        raise _bad("subject", "strangers go by that name, and everybody sees what is done under it; choose another")
    if wish.role not in ROLES:
        raise _bad("role", f"a role is one of {', '.join(ROLES)}")
    try:
        return Principal(tenant if wish.tenant is None else TenantId(token(wish.tenant)), wish.subject, ROLES[wish.role])
    except ValueError:
        raise _bad("tenant", "a tenant is 1 to 64 letters, digits, '-' and '_'") from None


def lifetime(wish: float | None, longest: float) -> float:
    """Seconds. Raises Invalid (BAD_TOKEN_WISH)."""
    if wish is None:
        return longest
    if isinstance(wish, bool) or not math.isfinite(wish) or not 1 <= wish <= longest:
        raise _bad("lifetime_s", f"a token lives 1 to {longest:.0f} seconds")
    return wish


def _check(principal: Principal, asked: Principal) -> None:
    if principal.role is Role.ANONYMOUS:
        raise Unauthenticated("show the secret that signs tokens, or a credential of yours", code="NO_PROOF")
    if asked.tenant != principal.tenant:
        raise Denied("a credential mints for its own tenant only", code="NOT_YOURS_TO_MINT")
    if principal.role is not Role.ADMIN and asked.subject != principal.subject:
        raise Denied("only an admin mints for others; ask for a token of your own subject", code="NOT_YOURS_TO_MINT")
    if asked.role not in BELOW[principal.role]:
        raise Denied(f"the role {principal.role} does not mint {asked.role}", code="NOT_YOURS_TO_MINT")


def _check_revoker(principal: Principal, subject: str) -> None:
    if principal.role is not Role.ADMIN and subject != principal.subject:
        raise Denied("only an admin revokes what others hold", code="NOT_YOURS_TO_REVOKE")


def _none() -> Invalid:
    return Invalid("this is no token or API key that holds here", code="BAD_TOKEN")


def _bad(field_name: str, why: str) -> Invalid:
    return Invalid(why, code="BAD_TOKEN_WISH", field=field_name)
