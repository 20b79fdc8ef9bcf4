"""Who is asking: known from the credential alone, never from what a body says."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from unicodedata import normalize

from trunkline.contracts.ids import TenantId

HOME: Final = TenantId("public")
"""The tenant of everybody whose credential names no other."""


class Role(StrEnum):
    ANONYMOUS = "anonymous"
    GUEST = "guest"
    """Somebody for whom GitHub vouches, and nobody else: it sees its own, and what everybody sees."""
    INSTANCE = "instance"
    """An agent elsewhere, by the key of its instance: it reaches that, and nothing else."""
    USER = "user"
    AGENT = "agent"
    APPROVER = "approver"
    ADMIN = "admin"


class Tier(StrEnum):
    """How much a caller may ask for."""

    ANONYMOUS = "anonymous"
    AUTHENTICATED = "authenticated"
    PRO = "pro"
    OPERATOR = "operator"
    """Whoever runs this installation: no limit counts."""


@dataclass(frozen=True, slots=True)
class Principal:
    """One caller. Everything it sees and makes belongs to its tenant."""

    tenant: TenantId
    subject: str
    role: Role
    tier: Tier = Tier.AUTHENTICATED
    name: str = field(default="", compare=False)
    """What a guest goes by at GitHub just now (its login): for labels and for people, and never a right; logins are given away again."""


ANONYMOUS: Final = Principal(HOME, "anonymous", Role.ANONYMOUS, Tier.ANONYMOUS)
"""Whoever shows no credential."""


def may_be_one(one: str, other: str) -> bool:
    """Whether two subjects may be one person: the name of an API key is in small letters, what signs tokens elsewhere may not be."""
    return _plain(one) == _plain(other)


def is_strangers(subject: str) -> bool:
    """Whether it is the name that strangers go by. No credential may bear it: what is done under it everybody sees."""
    return may_be_one(subject, ANONYMOUS.subject)


def _plain(subject: str) -> str:
    return normalize("NFKC", normalize("NFKC", subject).casefold())
