"""Webhooks of the open surface: a caller is told of its own jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import IDS, Route, Spec
from trunkline_gateway.dialects.pr_agent import decode_webhooks, encode_webhooks
from trunkline_gateway.dialects.pr_agent.decode import SURFACE
from trunkline_gateway.dialects.pr_agent.routes_deliveries import DeliveryRoutes, found, hook, json
from trunkline_gateway.dialects.pr_agent.schemas_webhooks import (
    Hooked,
    NewSecret,
    Webhook,
    WebhookBody,
    WebhookChange,
    WebhookList,
    WebhookMade,
    WebhookRemoved,
)
from trunkline_gateway.usecases.webhooks import Webhooks

ROOT: Final = "/api/pr-agent/webhooks"
ONE: Final = ROOT + "/{webhookId}"
_ONCE: Final = "Shows the secret: this answer is never stored, and the same Idempotency-Key does the same again."
MAKE: Final = Spec("Make a webhook for your own jobs", SURFACE, _ONCE, body=WebhookBody, answers={201: WebhookMade}, refusals=(409, 422))
LIST: Final = Spec("List your webhooks", SURFACE, answers={200: WebhookList})
READ: Final = Spec("Read one of your webhooks", SURFACE, path=Hooked, answers={200: Webhook})
CHANGE: Final = Spec("Change one of your webhooks", SURFACE, path=Hooked, body=WebhookChange, answers={200: Webhook})
REMOVE: Final = Spec("Remove one of your webhooks", SURFACE, path=Hooked, answers={200: WebhookRemoved})
ROTATE: Final = Spec(
    "Give one of your webhooks a new secret",
    SURFACE,
    f"The one before signs beside it for a day. {_ONCE}",
    path=Hooked,
    body=NewSecret,
    body_required=False,
    answers={200: WebhookMade},
    refusals=(422,),
)
VERIFY: Final = Spec("Ask for the handshake again", SURFACE, path=Hooked, answers={202: Webhook}, refusals=(409,))


@dataclass(frozen=True, slots=True)
class WebhookRoutes:
    """`webhooks` are those of owners alone."""

    webhooks: Webhooks
    body: BodyReader

    def routes(self) -> tuple[Route, ...]:
        look, change = Action.READ_OWN_WEBHOOK, Action.CHANGE_OWN_WEBHOOK
        return (
            Route("POST", ROOT, change, self._make, MAKE, "webhooks.change", secret=True),
            Route("GET", ROOT, look, self._list, LIST, "webhooks.read"),
            Route("GET", ONE, look, self._read, READ, "webhooks.read"),
            Route("PATCH", ONE, change, self._change, CHANGE, "webhooks.change"),
            Route("DELETE", ONE, change, self._remove, REMOVE, "webhooks.change"),
            Route("POST", f"{ONE}/rotate", change, self._rotate, ROTATE, "webhooks.change", secret=True),
            Route("POST", f"{ONE}/verify", change, self._verify, VERIFY, "webhooks.change"),
            *DeliveryRoutes(self.webhooks, self.body).routes(),
        )

    async def _make(self, request: web.Request, principal: Principal) -> web.Response:
        wish = decode_webhooks.wish(await self.body.json(request))
        return json(encode_webhooks.made(await self.webhooks.register(principal, wish, id=request[IDS].id())), 201)

    async def _list(self, request: web.Request, principal: Principal) -> web.Response:
        return json(encode_webhooks.listed(await self.webhooks.own(principal)))

    async def _read(self, request: web.Request, principal: Principal) -> web.Response:
        return json(encode_webhooks.webhook(await found(self.webhooks.one(principal, hook(request)))))

    async def _change(self, request: web.Request, principal: Principal) -> web.Response:
        id, wish = hook(request), decode_webhooks.change(await self.body.json(request))
        return json(encode_webhooks.webhook(await found(self.webhooks.change(principal, id, wish))))

    async def _remove(self, request: web.Request, principal: Principal) -> web.Response:
        id = hook(request)
        await found(self.webhooks.remove(principal, id))
        return json({"id": id, "deleted": True})

    async def _rotate(self, request: web.Request, principal: Principal) -> web.Response:
        id, secret = hook(request), decode_webhooks.secret(await self.body.json_if_any(request))
        return json(encode_webhooks.made(await found(self.webhooks.rotate(principal, id, secret, id=request[IDS].id()))))

    async def _verify(self, request: web.Request, principal: Principal) -> web.Response:
        return json(encode_webhooks.webhook(await found(self.webhooks.verify(principal, hook(request)))), 202)
