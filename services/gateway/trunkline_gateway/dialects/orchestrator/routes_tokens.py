"""Tokens: getting one, giving one up, and who one is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import Route, Spec
from trunkline_gateway.dialects.orchestrator import answers, decode_tokens, encode
from trunkline_gateway.dialects.orchestrator.answering import json
from trunkline_gateway.dialects.orchestrator.schemas import MintBody, RevokeBody, SecretHeaders
from trunkline_gateway.usecases.desk import Desk
from trunkline_gateway.usecases.in_time import in_time

TAG: Final = "auth"
MINT: Final = Spec(
    "Get a token",
    TAG,
    "Needs proof: the configured secret, in the body or in X-Orchestrator-Secret; or a credential, which mints for its own subject at its "
    "own role or below, and an admin's for anybody in its tenant.",
    headers=SecretHeaders,
    body=MintBody,
    answers={200: answers.Token},
    refusals=(400, 401, 403, 413, 415, 422, 429, 503),
)
REVOKE: Final = Spec(
    "Revoke a token or an API key, or all that a subject holds",
    TAG,
    "An API key is named by its text, and is refused from then on, also after restarts; another text under its name counts.",
    body=RevokeBody,
    answers={200: answers.Revoked},
    refusals=(400, 401, 403, 413, 415, 422, 429, 503),
)
SELF: Final = Spec("Who the credential says that you are", TAG, answers={200: answers.Self}, refusals=(401, 403))


@dataclass(frozen=True, slots=True)
class TokenRoutes:
    desk: Desk
    body: BodyReader

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", "/auth/token", Action.MINT_TOKEN, self._mint, MINT, "auth.token"),
            Route("POST", "/auth/revoke", Action.REVOKE_TOKEN, self._revoke, REVOKE, "auth.revoke"),
            Route("GET", "/auth/me", Action.READ_SELF, self._self, SELF),
        )

    async def _mint(self, request: web.Request, principal: Principal) -> web.Response:
        proof, wish = decode_tokens.mint(request.headers, await self.body.json(request))
        minted = await self.desk.mint(principal, proof, wish)
        return json(encode.token(minted, self.desk.now()))

    async def _revoke(self, request: web.Request, principal: Principal) -> web.Response:
        wish = decode_tokens.revocation(await self.body.json(request))
        async with in_time():
            await self.desk.revoke(principal, wish)
        return json({"success": True, "message": "Revoked"})

    async def _self(self, request: web.Request, principal: Principal) -> web.Response:
        return json(encode.who(principal))
