"""Webhooks of the open surface: a caller is told of its own jobs."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, TypeVar

import orjson
from aiohttp import web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.contracts.errors import NotFound
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import IDS, Route, Spec
from trunkline_gateway.dialects.pr_agent import decode_webhooks, encode_webhooks
from trunkline_gateway.dialects.pr_agent.decode import SURFACE
from trunkline_gateway.dialects.pr_agent.schemas_webhooks import Hooked, Webhook, WebhookBody, WebhookList, WebhookMade, WebhookRemoved
from trunkline_gateway.usecases.webhooks import Webhooks

T = TypeVar("T")
ROOT: Final = "/api/pr-agent/webhooks"
ONE: Final = ROOT + "/{webhookId}"
_ONCE: Final = "Shows the secret: this answer is never stored, and the same Idempotency-Key does the same again."
MAKE: Final = Spec("Make a webhook for your own jobs", SURFACE, _ONCE, body=WebhookBody, answers={201: WebhookMade}, refusals=(409, 422))
LIST: Final = Spec("List your webhooks", SURFACE, answers={200: WebhookList})
READ: Final = Spec("Read one of your webhooks", SURFACE, path=Hooked, answers={200: Webhook})
REMOVE: Final = Spec("Remove one of your webhooks", SURFACE, path=Hooked, answers={200: WebhookRemoved})


@dataclass(frozen=True, slots=True)
class WebhookRoutes:
    webhooks: Webhooks
    body: BodyReader

    def routes(self) -> tuple[Route, ...]:
        look, change = Action.READ_OWN_WEBHOOK, Action.CHANGE_OWN_WEBHOOK
        return (
            Route("POST", ROOT, change, self._make, MAKE, "webhooks.change", secret=True),
            Route("GET", ROOT, look, self._list, LIST, "webhooks.read"),
            Route("GET", ONE, look, self._read, READ, "webhooks.read"),
            Route("DELETE", ONE, change, self._remove, REMOVE, "webhooks.change"),
        )

    async def _make(self, request: web.Request, principal: Principal) -> web.Response:
        wish = decode_webhooks.wish(await self.body.json(request))
        return _json(encode_webhooks.made(await self.webhooks.register(principal, wish, id=request[IDS].id())), 201)

    async def _list(self, request: web.Request, principal: Principal) -> web.Response:
        return _json(encode_webhooks.listed(await self.webhooks.own(principal)))

    async def _read(self, request: web.Request, principal: Principal) -> web.Response:
        return _json(encode_webhooks.webhook(await _found(self.webhooks.one(principal, _hook(request), own=True))))

    async def _remove(self, request: web.Request, principal: Principal) -> web.Response:
        hook = _hook(request)
        await _found(self.webhooks.remove(principal, hook, own=True))
        return _json({"id": hook, "deleted": True})


async def _found(asked: Awaitable[T]) -> T:
    """What came of it; another's is said to be missing in the same words."""
    try:
        return await asked
    except NotFound:
        raise decode_webhooks.unknown() from None


def _hook(request: web.Request) -> str:
    return decode_webhooks.hook(request.match_info["webhookId"])


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
