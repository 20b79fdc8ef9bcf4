"""Who is asking: known from the credential alone, never from what a body says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from trunkline.contracts.ids import TenantId


class Role(StrEnum):
    ANONYMOUS = "anonymous"
    USER = "user"
    AGENT = "agent"
    APPROVER = "approver"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """One caller. Everything it sees and makes belongs to its tenant."""

    tenant: TenantId
    subject: str
    role: Role


ANONYMOUS: Final = Principal(TenantId("public"), "anonymous", Role.ANONYMOUS)
"""Whoever shows no credential."""
