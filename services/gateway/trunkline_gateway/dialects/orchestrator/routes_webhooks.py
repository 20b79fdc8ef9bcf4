"""Webhooks: who is told of what happens in the tenant, what was sent to them, and sending it again."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, TypeVar

from aiohttp import web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.contracts.errors import NotFound
from trunkline.contracts.webhook import WebhookStatus
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import IDS, PARTS, Route, Spec
from trunkline_gateway.dialects.orchestrator import answers_webhooks as answers
from trunkline_gateway.dialects.orchestrator import decode_webhooks, encode_webhooks, names, reading
from trunkline_gateway.dialects.orchestrator.answering import json
from trunkline_gateway.dialects.orchestrator.schemas import NothingBody
from trunkline_gateway.dialects.orchestrator.schemas_webhooks import (
    DeliveriesQuery,
    DeliveryPath,
    RedeliverBody,
    RotateBody,
    WebhookBody,
    WebhookChangeBody,
    WebhookPath,
    WebhooksQuery,
)
from trunkline_gateway.dialects.orchestrator.seal import Seal
from trunkline_gateway.usecases.webhooks import Webhooks

T = TypeVar("T")
TAG: Final = "webhooks"
_WAIT: Final = (401, 403, 429, 503)
_ONE: Final = (*_WAIT, 404)
_BODY: Final = (*_WAIT, 400, 413, 415, 422)
_ONCE: Final = "Shows the secret: this answer is never stored, and the same Idempotency-Key does the same again."
MAKE: Final = Spec("Make a webhook", TAG, _ONCE, body=WebhookBody, answers={201: answers.WebhookMade}, refusals=(*_BODY, 409))
LIST: Final = Spec("List the webhooks", TAG, query=WebhooksQuery, answers={200: answers.WebhookList}, refusals=(*_WAIT, 400, 422))
READ: Final = Spec("Read a webhook", TAG, path=WebhookPath, answers={200: answers.WebhookRead}, refusals=_ONE)
CHANGE: Final = Spec(
    "Change a webhook", TAG, path=WebhookPath, body=WebhookChangeBody, answers={200: answers.WebhookChanged}, refusals=(*_BODY, 404, 409)
)
REMOVE: Final = Spec("Remove a webhook", TAG, path=WebhookPath, answers={200: answers.WebhookRemoved}, refusals=_ONE)
ROTATE: Final = Spec(
    "Give a webhook a new secret",
    TAG,
    f"The one before signs beside it for a day. {_ONCE}",
    path=WebhookPath,
    body=RotateBody,
    body_required=False,
    answers={200: answers.WebhookMade},
    refusals=(*_BODY, 404, 409),
)
VERIFY: Final = Spec(
    "Ask for the handshake again", TAG, path=WebhookPath, body=NothingBody, body_required=False, answers={202: answers.WebhookChanged},
    refusals=(*_BODY, 404, 409),
)  # fmt: skip
DELIVERIES: Final = Spec(
    "List what was sent", TAG, path=WebhookPath, query=DeliveriesQuery, answers={200: answers.DeliveryList}, refusals=(*_ONE, 400, 422)
)
DELIVERY: Final = Spec("Read one delivery", TAG, path=DeliveryPath, answers={200: answers.DeliveryRead}, refusals=_ONE)
AGAIN: Final = Spec(
    "Send one again", TAG, path=DeliveryPath, body=NothingBody, body_required=False, answers={202: answers.RedeliveredOne},
    refusals=(*_BODY, 404, 409),
)  # fmt: skip
ALL_AGAIN: Final = Spec(
    "Send many again", TAG, path=WebhookPath, body=RedeliverBody, body_required=False, answers={202: answers.RedeliveredMany},
    refusals=(*_BODY, 404, 409),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class WebhookRoutes:
    webhooks: Webhooks
    body: BodyReader
    seal: Seal

    def routes(self) -> tuple[Route, ...]:
        every, one = "/webhooks", "/webhooks/{webhook_id}"
        sent, look, change = f"{one}/deliveries/{{delivery_id}}", Action.READ_WEBHOOK, Action.CHANGE_WEBHOOK
        return (
            Route("POST", every, change, self._make, MAKE, "webhooks.change", secret=True),
            Route("GET", every, look, self._list, LIST, "webhooks.read"),
            Route("GET", one, look, self._read, READ, "webhooks.read"),
            Route("PATCH", one, change, self._change, CHANGE, "webhooks.change"),
            Route("DELETE", one, change, self._remove, REMOVE, "webhooks.change"),
            Route("POST", f"{one}/rotate", change, self._rotate, ROTATE, "webhooks.change", secret=True),
            Route("POST", f"{one}/verify", change, self._verify, VERIFY, "webhooks.change"),
            Route("GET", f"{one}/deliveries", look, self._deliveries, DELIVERIES, "webhooks.read"),
            Route("GET", sent, look, self._delivery, DELIVERY, "webhooks.read"),
            Route("POST", f"{sent}/redeliver", change, self._again, AGAIN, "webhooks.redeliver"),
            Route("POST", f"{one}/redeliver", change, self._all_again, ALL_AGAIN, "webhooks.redeliver"),
        )

    async def _make(self, request: web.Request, principal: Principal) -> web.Response:
        wish = decode_webhooks.wish(await self.body.json(request))
        made = await self.webhooks.register(principal, wish, id=request[IDS].id())
        return json(encode_webhooks.made(made, "Webhook made; it hears of nothing until its address answers the handshake"), 201)

    async def _list(self, request: web.Request, principal: Principal) -> web.Response:
        query, cursor = decode_webhooks.webhooks(request.query, self.webhooks.now())
        start = int(self.seal.opened(principal, query, cursor) or 0)
        page = await self.webhooks.all(principal, query.model_copy(update={"offset": start}))
        end = start + len(page.webhooks)
        more = str(end) if page.webhooks and end < page.total else None
        return json(encode_webhooks.listed(page, self.seal.sealed(principal, query, more)))

    async def _read(self, request: web.Request, principal: Principal) -> web.Response:
        return json(encode_webhooks.read(await _found(self.webhooks.one(principal, _hook(request)))))

    async def _change(self, request: web.Request, principal: Principal) -> web.Response:
        hook, wish = _hook(request), decode_webhooks.change(await self.body.json(request))
        view = await _found(self.webhooks.change(principal, hook, wish))
        waits = "; it hears of nothing until its address answers the handshake" if view.status is WebhookStatus.PENDING else ""
        return json(encode_webhooks.changed(view, f"Webhook changed{waits}"))

    async def _remove(self, request: web.Request, principal: Principal) -> web.Response:
        hook = _hook(request)
        await _found(self.webhooks.remove(principal, hook))
        return json(encode_webhooks.removed(hook))

    async def _rotate(self, request: web.Request, principal: Principal) -> web.Response:
        hook, secret = _hook(request), decode_webhooks.secret(await self.body.json_if_any(request))
        made = await _found(self.webhooks.rotate(principal, hook, secret, id=request[IDS].id()))
        return json(encode_webhooks.made(made, "Secret rotated; the one before signs beside it for a day"))

    async def _verify(self, request: web.Request, principal: Principal) -> web.Response:
        hook = _hook(request)
        reading.body(NothingBody, await self.body.json_if_any(request))
        return json(encode_webhooks.changed(await _found(self.webhooks.verify(principal, hook)), "The handshake is asked for"), 202)

    async def _deliveries(self, request: web.Request, principal: Principal) -> web.Response:
        query, cursor = decode_webhooks.deliveries(_hook(request), request.query, self.webhooks.now())
        asked = query.model_copy(update={"after": self.seal.opened(principal, query, cursor)})
        page = await _found(self.webhooks.deliveries(principal, asked))
        return json(encode_webhooks.deliveries(page, self.seal.sealed(principal, query, page.next)))

    async def _delivery(self, request: web.Request, principal: Principal) -> web.Response:
        hook, delivery = _hook(request), _delivery(request)
        return json(encode_webhooks.one_delivery(await _found(self.webhooks.delivery(principal, hook, delivery))))

    async def _again(self, request: web.Request, principal: Principal) -> web.Response:
        hook, delivery = _hook(request), _delivery(request)
        reading.body(NothingBody, await self.body.json_if_any(request))
        return json(encode_webhooks.redelivered(await _found(self.webhooks.redeliver(principal, hook, delivery))), 202)

    async def _all_again(self, request: web.Request, principal: Principal) -> web.Response:
        hook, (status, since) = _hook(request), decode_webhooks.redelivery(await self.body.json_if_any(request))
        told = await _found(self.webhooks.redeliver_many(principal, hook, status, since))
        return json(encode_webhooks.redelivered_many(hook, told), 202)


async def _found(asked: Awaitable[T]) -> T:
    """What came of it; what is not there is said in the words of this surface."""
    try:
        return await asked
    except NotFound as error:
        raise (names.unknown_delivery() if error.code == "DELIVERY_NOT_FOUND" else names.unknown_webhook()) from None


def _hook(request: web.Request) -> str:
    return names.read_webhook(request[PARTS]["webhook_id"])


def _delivery(request: web.Request) -> str:
    return names.read_delivery(request[PARTS]["delivery_id"])
