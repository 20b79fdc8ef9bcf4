"""Knows people by the GitHub token that they show: as the bearer, or as `githubToken` in the body, which is the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web
from pydantic import JsonValue, SecretStr

from trunkline.auth.principal import Principal, Role
from trunkline.contracts.errors import Invalid, Unauthenticated, Unsupported
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialects.pr_agent import decode
from trunkline_gateway.usecases.guests import Guests
from trunkline_gateway.usecases.vaulted import borne

_MAY_NAME_IT: Final = (b"githubToken", b"\\u")
"""A body with neither names no token, and is not read twice."""
NOBODYS: Final = (
    "the credential that was shown counts for nothing here: it is none of ours, and does not look like a token of GitHub's; "
    "correct it, or show none and work as a stranger"
)


@dataclass(frozen=True, slots=True)
class TokenVisitors:
    """dialect.Visitors by GitHub's tokens; without `people` GitHub is not asked, and nobody is known."""

    people: Guests | None
    body: BodyReader
    roles: frozenset[Role] = frozenset({Role.GUEST})
    """Said in the API document, whoever is asked here."""

    async def token(self, request: web.Request) -> SecretStr | None:
        """Raises Invalid also when two different ones are shown; Unauthenticated, TooLarge, Overdue."""
        _check_shown(request)
        if self.people is None:
            return None
        sent = await self._sent(request) if request.method == "POST" else {}
        return decode.token(sent, request.headers.get("Authorization", ""))

    async def who(self, token: SecretStr) -> Principal:
        if self.people is None:
            raise Unauthenticated("GitHub is not asked here who somebody is", code="AUTH_REQUIRED")
        return await self.people.who(token)

    def stands(self, token: SecretStr, principal: Principal) -> bool:
        return self.people is not None and self.people.stands(token, principal)

    async def _sent(self, request: web.Request) -> dict[str, JsonValue]:
        """Nothing for what cannot be read: whoever reads it next says why."""
        raw = await self.body.raw(request)
        if not any(mark in raw for mark in _MAY_NAME_IT):
            return {}
        try:
            return await self.body.json(request)
        except (Invalid, Unsupported):
            return {}


def _check_shown(request: web.Request) -> None:
    """Raises Unauthenticated for a credential that is nobody's. Ours never comes here; a header with nothing in it shows nothing."""
    key, authorization = request.headers.get("X-API-Key", "").strip(), request.headers.get("Authorization", "").strip()
    if key or (authorization and authorization.lower() != "bearer" and borne(authorization) is None):
        raise Unauthenticated(NOBODYS, code="AUTH_REQUIRED")
