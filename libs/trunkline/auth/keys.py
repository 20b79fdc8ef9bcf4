"""API keys: each a name, a role and a tenant; kept as hashes, so that nothing in memory can be sent back to us.

A key is looked up by its HMAC under a salt that is drawn anew in every process. Whoever tries keys therefore cannot choose what is compared
with what, and how long the look takes says nothing about how near a guess was; the hash that is found is compared in constant time besides.
What a key is revoked by is another HMAC, under the seal of the log: the same for every gateway there, over restarts too.
"""

from __future__ import annotations

import hmac
import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trunkline.auth.claims import ROLES, Token, owner
from trunkline.auth.principal import HOME, Principal, Role, Tier, is_strangers
from trunkline.contracts.errors import Invalid
from trunkline.contracts.ids import TenantId, token

PREFIX: Final = "ORCHESTRATOR_API_KEY_"
SHORTEST: Final = 16
OPERATOR: Final = Principal(HOME, "operator", Role.ADMIN, Tier.OPERATOR)
"""Whoever can read the data directory of this installation."""
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_KEY: Final = re.compile(r"[!-~]+")
_PURPOSE: Final = b"trunkline api keys 1"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the settings, understood. Holds the key itself: to be dropped once there is a ring."""

    key: str
    principal: Principal


class KeyRing:
    """Says whose a key is, as the roll knows it: a token that is never over."""

    def __init__(self, entries: tuple[Entry, ...], seal: bytes = b"") -> None:
        self._salt = secrets.token_bytes(32)
        under = hmac.digest(seal, _PURPOSE, "sha256")
        self._held = {self._hash(entry.key): (self._hash(entry.key), _token(entry, under)) for entry in entries}
        held = (token for _, token in self._held.values())
        self._named = {token.owner: token for token in held if token.principal.tier is not Tier.OPERATOR}

    def find(self, key: str) -> Token | None:
        """Nobody's: None. Whether it was revoked is the roll's to say."""
        shown = self._hash(key)
        kept, token = self._held.get(shown, (shown, None))
        return token if hmac.compare_digest(shown, kept) else None

    def of(self, tenant: TenantId, subject: str) -> Token | None:
        """The key that goes by this name. The operator's goes by its text alone: no admin shuts out whoever runs the house unawares."""
        return self._named.get(owner(tenant, subject))

    def _hash(self, key: str) -> bytes:
        return hmac.digest(self._salt, _bytes(key), "sha256")


NO_KEYS: Final = KeyRing(())


def entries(said: Mapping[str, str], *, short: bool = False) -> tuple[Entry, ...]:
    """Every key of the settings, by name: `<key>:<role>` or `<key>:<role>:<tenant>`. `short` takes keys below 16 characters.

    Raises Invalid (BAD_API_KEY, WEAK_API_KEY) with the name of the one that does not fit, and never with a key.
    """
    found = tuple(_entry(name, value, short=short) for name, value in said.items())
    _check_twins([entry.principal.subject for entry in found], "two names are the same in small letters")
    _check_twins([entry.key for entry in found], "two of them are the same key, and nobody could tell their owners apart")
    return found


def _token(entry: Entry, under: bytes) -> Token:
    """Minted after everything: with what its subject held until some moment, another text under the same name would end as well."""
    who = entry.principal
    return Token(who, hmac.digest(under, _bytes(entry.key), "sha256").hex(), owner(who.tenant, who.subject), math.inf, math.inf)


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")


def _entry(name: str, value: str, *, short: bool) -> Entry:
    if not _NAME.fullmatch(name):
        raise _bad(name[:64], "a name is 1 to 64 letters, digits, '-' and '_'")
    if is_strangers(name):
        raise _bad(name, "strangers go by that name, and everybody sees what is done under it")
    key, role, tenant = _parts(name, value)
    if not _KEY.fullmatch(key):
        raise _bad(name, "a key is visible ASCII without spaces, or it could not be sent in a header")
    if len(key) < SHORTEST and not short:
        message = f"the API key {name} has {len(key)} characters, and less than {SHORTEST} can be guessed"
        raise Invalid(f"{message}. Make one with `openssl rand -hex 24`", code="WEAK_API_KEY")
    return Entry(key, Principal(tenant, name.lower(), ROLES[role]))


def _parts(name: str, value: str) -> tuple[str, str, TenantId]:
    """Read from the right, as a key may hold ':'."""
    front, _, last = value.rpartition(":")
    key, _, middle = front.rpartition(":")
    if last in ROLES and middle in ROLES:
        raise _bad(name, f"it may mean the role {middle} in a tenant {last}, or the role {last}; rename the tenant, or change the key")
    if last in ROLES:
        return front, last, HOME
    if middle not in ROLES:
        raise _bad(name, f"write <key>:<role> or <key>:<role>:<tenant>, the role one of {', '.join(ROLES)}")
    return key, middle, _tenant(name, last)


def _tenant(name: str, text: str) -> TenantId:
    try:
        return TenantId(token(text))
    except ValueError:
        raise _bad(name, "the tenant is not a name of letters, digits, '-' and '_'") from None


def _check_twins(texts: list[str], why: str) -> None:
    if len(set(texts)) != len(texts):
        raise Invalid(f"the API keys cannot be used: {why}", code="BAD_API_KEY")


def _bad(name: str, why: str) -> Invalid:
    return Invalid(f"the API key {name!r} cannot be used: {why}", code="BAD_API_KEY")
