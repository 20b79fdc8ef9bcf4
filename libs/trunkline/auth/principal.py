"""Who is asking: known from the credential alone, never from what a body says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from trunkline.contracts.ids import TenantId

HOME: Final = TenantId("public")
"""The tenant of everybody whose credential names no other."""


class Role(StrEnum):
    ANONYMOUS = "anonymous"
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


ANONYMOUS: Final = Principal(HOME, "anonymous", Role.ANONYMOUS, Tier.ANONYMOUS)
"""Whoever shows no credential."""
