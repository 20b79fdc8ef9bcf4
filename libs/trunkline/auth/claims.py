"""Reads what a signed token says: strictly, so that whatever is odd is refused and never guessed at."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NoReturn

from pydantic import JsonValue

from trunkline.auth.principal import HOME, Principal, Role, Tier, is_strangers
from trunkline.contracts.errors import Invalid, Unauthenticated
from trunkline.contracts.ids import TenantId, token

BAD_TOKEN: Final = "BAD_TOKEN"
LEEWAY: Final = 60.0
"""Seconds by which the clock of whoever signs may run ahead of ours."""
LONGEST_TEXT: Final = 128
LEAST_SECRET: Final = 32
"""Bytes: what HS256 itself puts out. A shorter one can be found by trying, from a single token."""
_LARGEST: Final = 2**53
ROLES: Final[Mapping[str, Role]] = {role.value: role for role in Role if role not in (Role.ANONYMOUS, Role.GUEST, Role.INSTANCE)}
"""What a credential of ours may say; strangers have none, for a guest GitHub speaks, and an instance has a key of its own kind."""
TIERS: Final[Mapping[str, Tier]] = {tier.value: tier for tier in (Tier.AUTHENTICATED, Tier.PRO)}

Claims = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a token must keep to."""

    lifetime_s: float = 86400.0
    audience: str = ""
    """Empty: a token that is for somebody in particular is for somebody else."""
    issuer: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """What a token that holds says, and the names under which it can be revoked."""

    principal: Principal
    mark: str
    """SHA-256 of what was signed: the same whatever was done to the signature."""
    owner: str
    issued_at: float
    """Epoch seconds; minus infinity when it does not say."""
    expires_at: float


def read(claims: Claims, terms: Terms, now: float, *, meant: bool = False, late_s: float = 0.0) -> Token:
    """The token that these claims make; `mark` is left to whoever saw the signature.

    `meant`: it must name our audience and issuer, where those are set. `late_s`: it may be over for less than that.
    Raises Unauthenticated (BAD_TOKEN, TOKEN_EXPIRED).
    """
    issued, expires = _times(claims, terms, now, late_s)
    _check_place(claims.get("aud"), terms.audience, "aud", meant=meant)
    _check_place(claims.get("iss"), terms.issuer, "iss", meant=meant)
    if "jti" in claims and not fits(claims["jti"]):
        raise bad("the token's jti is not a short text")
    who = _principal(claims)
    return Token(who, "", owner(who.tenant, who.subject), issued, expires)


def parsed(raw: bytes, what: str) -> Claims:
    """One JSON object that says nothing twice. Raises Unauthenticated."""
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise bad(f"the {what} of the token is not JSON that says everything once") from None
    if not isinstance(value, dict):
        raise bad(f"the {what} of the token is not a JSON object")
    return value


def owner(tenant: str, subject: str) -> str:
    """The name under which everything of one caller is revoked; it tells nobody who that is."""
    return sha256(f"{tenant}.{subject}".encode()).hexdigest()


def fits(text: object) -> bool:
    """Whether this may name somebody: 1 to 128 characters that can be seen, without space around them."""
    return isinstance(text, str) and 0 < len(text) <= LONGEST_TEXT and text.isprintable() and text == text.strip()


def strong(secret: str) -> bytes:
    """The bytes of a signing secret. Raises Invalid (WEAK_SECRET), which does not repeat it."""
    raw = secret.encode("utf-8", "surrogateescape")
    if len(raw) < LEAST_SECRET:
        message = (
            f"the secret that signs tokens has {len(raw)} bytes, and less than {LEAST_SECRET} can be guessed from a single token. "
            "Make one with `openssl rand -hex 32`"
        )
        raise Invalid(message, code="WEAK_SECRET")
    return raw


def bad(message: str) -> Unauthenticated:
    return Unauthenticated(f"{message}; ask for a new one", code=BAD_TOKEN)


def _times(claims: Claims, terms: Terms, now: float, late_s: float) -> tuple[float, float]:
    expires, issued, begins = (_moment(claims, name) for name in ("exp", "iat", "nbf"))
    if expires is None:
        raise bad("the token does not say when it ends (exp)")
    if expires + late_s <= now:
        raise Unauthenticated("the token has expired; ask for a new one", code="TOKEN_EXPIRED")
    if max(issued or 0, begins or 0) > now + LEEWAY:
        raise bad("the token is from the future; is the clock of its signer right")
    if expires - (now if issued is None else issued) > terms.lifetime_s + LEEWAY:
        raise bad(f"the token lives longer than {terms.lifetime_s:.0f} s")
    return -math.inf if issued is None else issued, expires


def _moment(claims: Claims, name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_LARGEST < value < _LARGEST:
        raise bad(f"the token's {name} is not a number of seconds")
    return float(value)


def _check_place(said: JsonValue, ours: str, name: str, *, meant: bool) -> None:
    if said is None and not (meant and ours):
        return
    names = said if isinstance(said, list) and name == "aud" else [said]
    if not ours or ours not in names or not all(isinstance(each, str) for each in names):
        raise bad(f"the token's {name} is not ours")


def _principal(claims: Claims) -> Principal:
    subject, role = claims.get("sub"), claims.get("role")
    tenant, tier = claims.get("tenant", HOME), claims.get("tier", Tier.AUTHENTICATED.value)
    if not isinstance(subject, str) or not fits(subject):
        raise bad(f"the token's sub is not a text of 1 to {LONGEST_TEXT} printable characters")
    if is_strangers(subject):
        raise bad("the token's sub is the name that strangers go by")
    if not isinstance(role, str) or role not in ROLES:
        raise bad("the token's role is none of user, agent, approver, admin")
    if not isinstance(tier, str) or tier not in TIERS:
        raise bad("the token's tier is none of authenticated, pro")
    return Principal(_tenant(tenant), subject, ROLES[role], TIERS[tier])


def _tenant(said: JsonValue) -> TenantId:
    try:
        return TenantId(token(said if isinstance(said, str) else ""))
    except ValueError:
        raise bad("the token's tenant is not a name of letters, digits, '-' and '_'") from None


def _once(pairs: list[tuple[str, JsonValue]]) -> Claims:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name stands there twice")
    return value


def _no_number(_: str) -> NoReturn:
    raise ValueError("not JSON")
