"""API keys: each a name, a role and a tenant; kept as hashes, so that nothing in memory can be sent back to us.

A key is looked up by its HMAC under a salt that is drawn anew in every process. Whoever tries keys therefore cannot choose what is compared
with what, and how long the look takes says nothing about how near a guess was; the hash that is found is compared in constant time besides.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trunkline.auth.claims import ROLES
from trunkline.auth.principal import HOME, Principal, Role, Tier, is_strangers
from trunkline.contracts.errors import Invalid
from trunkline.contracts.ids import TenantId, token

PREFIX: Final = "ORCHESTRATOR_API_KEY_"
SHORTEST: Final = 16
OPERATOR: Final = Principal(HOME, "operator", Role.ADMIN, Tier.OPERATOR)
"""Whoever can read the data directory of this installation."""
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_KEY: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the settings, understood. Holds the key itself: to be dropped once there is a ring."""

    key: str
    principal: Principal


class KeyRing:
    """Says whose a key is."""

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self._salt = secrets.token_bytes(32)
        self._owners = {self._hash(entry.key): (self._hash(entry.key), entry.principal) for entry in entries}

    def find(self, key: str) -> Principal | None:
        """Nobody's: None."""
        shown = self._hash(key)
        kept, principal = self._owners.get(shown, (shown, None))
        return principal if hmac.compare_digest(shown, kept) else None

    def _hash(self, key: str) -> bytes:
        return hmac.digest(self._salt, key.encode("utf-8", "surrogatepass"), "sha256")


def entries(said: Mapping[str, str], *, short: bool = False) -> tuple[Entry, ...]:
    """Every key of the settings, by name: `<key>:<role>` or `<key>:<role>:<tenant>`. `short` takes keys below 16 characters.

    Raises Invalid (BAD_API_KEY, WEAK_API_KEY) with the name of the one that does not fit, and never with a key.
    """
    found = tuple(_entry(name, value, short=short) for name, value in said.items())
    _check_twins([entry.principal.subject for entry in found], "two names are the same in small letters")
    _check_twins([entry.key for entry in found], "two of them are the same key, and nobody could tell their owners apart")
    return found


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
