"""Knows whoever shows a signing key, as the inngest SDKs do; and, in development, whoever shows nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web
from pydantic import SecretStr

from trunkline.auth.principal import HOME, Principal, Role
from trunkline.auth.signing_keys import SigningKeys
from trunkline.contracts.errors import Unauthenticated

HOLDER: Final = Principal(HOME, "signing-key", Role.USER)
"""Whoever holds the key: a backend that asks for tokens. It reads; what an SDK sends to anybody must not start an agent."""
DEVELOPER: Final = Principal(HOME, "dev", Role.AGENT)
"""Whoever asks a gateway that runs for development, on this machine."""
_NOTHING: Final = SecretStr("")
_FORM: Final = "signkey-"


@dataclass(frozen=True, slots=True)
class KeyHolders:
    """dialect.Visitors by signing keys. `dev`: nothing has to be shown, and SDKs may show a key that nobody set."""

    keys: SigningKeys
    dev: bool = False
    roles: frozenset[Role] = frozenset()

    async def token(self, request: web.Request) -> SecretStr | None:
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        shown = bearer.strip() if scheme.lower() == "bearer" else scheme + bearer
        text = shown or request.headers.get("X-API-Key", "")
        return SecretStr(text) if text else _NOTHING if self.dev else None

    async def who(self, token: SecretStr) -> Principal:
        text = token.get_secret_value()
        if text and self.keys.know(text):
            return DEVELOPER if self.dev else HOLDER  # whoever shows the key is no less than whoever shows nothing
        if self.dev and (not text or (not self.keys and text.startswith(_FORM))):
            return DEVELOPER
        raise Unauthenticated("this credential is not one of ours, and not the signing key that is set here", code="BAD_TOKEN")

    def stands(self, token: SecretStr, principal: Principal) -> bool:
        """Keys are read at the start; they do not change while this runs."""
        return True
