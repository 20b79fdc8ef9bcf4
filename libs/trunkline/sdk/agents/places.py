"""Where an agent stands on the bus: by its token, or by what an API key is called."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, Final

from trunkline.contracts import subjects
from trunkline.contracts.ids import TenantId, token
from trunkline.sdk.agents.failing import AgentError

HOME: Final = "public"
"""The tenant of credentials that name none."""


@dataclass(frozen=True, slots=True)
class Place:
    """Nobody else may ask from here: nats-server sees to that, by the credential."""

    tenant: TenantId
    name: str

    @property
    def inbox(self) -> str:
        return subjects.agent_inbox(self.tenant, self.name)

    @property
    def told(self) -> str:
        return subjects.told_of(self.tenant, self.name)

    def subject(self, verb: str) -> str:
        return subjects.agent_call(self.tenant, self.name, verb)


def place_of(secret: str, tenant: str, name: str) -> Place:
    """What a token says of itself counts; for an API key, what is said here. Raises AgentError, which never repeats the credential."""
    claims = _claims(secret)
    ours = _text(claims, "tenant") or tenant or HOME, _text(claims, "sub") or name.lower()
    if not ours[1]:
        raise AgentError("an API key does not say whose it is: give the agent the name of its key, Agent(name=…) or TRUNKLINE_AGENT_NAME")
    if claims and (tenant or ours[0], name or ours[1]) != ours:
        raise AgentError(f"the token is of {ours[1]!r} in the tenant {ours[0]!r}, and the agent is to be another: leave its name out")
    try:
        return Place(TenantId(token(ours[0])), token(ours[1]))
    except ValueError:
        raise AgentError(f"{ours[1]!r} cannot be the name of an agent on the bus: 1 to 64 letters, digits, '-' or '_'") from None


def _claims(secret: str) -> dict[str, Any]:
    """What is in a JWT, unverified: the bus verifies it. Empty for what is none."""
    parts = secret.split(".")
    if len(parts) != 3:
        return {}
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(claims: dict[str, Any], name: str) -> str:
    found = claims.get(name)
    return found if isinstance(found, str) else ""
