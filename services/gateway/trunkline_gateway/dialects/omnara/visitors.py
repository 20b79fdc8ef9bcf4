"""Knows agents by the keys of their instances, and others by API keys as bearers: the SDK has no other way to show one."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiohttp import hdrs, web
from pydantic import SecretStr

from trunkline.auth.principal import Principal, Role
from trunkline.contracts.errors import Unauthenticated
from trunkline_gateway.dialects.omnara.names import END, STREAM
from trunkline_gateway.ports import Bearers


@dataclass(slots=True)
class InstanceCallers:
    """dialect.Visitors by bearers."""

    bearers: Bearers
    roles: frozenset[Role] = frozenset({Role.INSTANCE})
    _newest: tuple[SecretStr, Principal] | None = field(default=None, init=False)
    """The bearer that was read last, and whose it is: who it is is asked next, and reading it again would cost as much."""

    async def token(self, request: web.Request) -> SecretStr | None:
        """The end of a session may be said with a key that it has ended already: the answer to that may have been lost."""
        text = _shown(request)
        if not text:
            return None
        token = SecretStr(text)
        self._newest = token, self.bearers.who(text, late=request.path == END)
        return token

    async def who(self, token: SecretStr) -> Principal:
        read, principal = self._newest or (None, None)
        return principal if principal and read is token else self.bearers.who(token.get_secret_value(), late=True)

    def stands(self, token: SecretStr, principal: Principal) -> bool:
        try:
            return self.bearers.who(token.get_secret_value()) == principal
        except Unauthenticated:
            return False


def _shown(request: web.Request) -> str:
    """Raises Unauthenticated for a credential in another form, which our own door did not know."""
    header = request.headers.get(hdrs.AUTHORIZATION, "")
    scheme, _, text = header.partition(" ")
    if (header and scheme.lower() != "bearer") or "X-API-Key" in request.headers:
        raise Unauthenticated("the credential that was shown is none of ours; send it as Authorization: Bearer KEY", code="BAD_TOKEN")
    if not text and request.path.endswith(STREAM):
        return request.query.get("token", "")
    return text.strip()
