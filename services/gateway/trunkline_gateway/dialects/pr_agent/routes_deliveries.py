"""What was sent to a caller's own webhooks, and sending it again."""

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
from trunkline_gateway.dialect import PARTS, Route, Spec
from trunkline_gateway.dialects.pr_agent import decode_deliveries, decode_webhooks, encode_deliveries
from trunkline_gateway.dialects.pr_agent.decode import SURFACE
from trunkline_gateway.dialects.pr_agent.schemas_deliveries import (
    Delivered,
    DeliveriesQuery,
    JobDelivery,
    JobDeliveryList,
    RedeliveredOwn,
    Redelivery,
)
from trunkline_gateway.dialects.pr_agent.schemas_webhooks import Hooked
from trunkline_gateway.dressing import JSON
from trunkline_gateway.usecases.webhooks import Webhooks

T = TypeVar("T")
HOOK: Final = "/api/pr-agent/webhooks/{webhookId}"
EVERY: Final = HOOK + "/deliveries"
ONE: Final = EVERY + "/{deliveryId}"
LIST: Final = Spec(
    "List what was sent to one of your webhooks", SURFACE, path=Hooked, query=DeliveriesQuery, answers={200: JobDeliveryList}
)
READ: Final = Spec("Read one delivery", SURFACE, path=Delivered, answers={200: JobDelivery})
AGAIN: Final = Spec("Send one again", SURFACE, path=Delivered, answers={202: JobDelivery}, refusals=(409,))
ALL_AGAIN: Final = Spec(
    "Send many again", SURFACE, path=Hooked, body=Redelivery, body_required=False, answers={202: RedeliveredOwn}, refusals=(409,)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DeliveryRoutes:
    """`webhooks` are those of owners alone."""

    webhooks: Webhooks
    body: BodyReader

    def routes(self) -> tuple[Route, ...]:
        look, change, again = Action.READ_OWN_WEBHOOK, Action.CHANGE_OWN_WEBHOOK, "webhooks.redeliver"
        return (
            Route("GET", EVERY, look, self._list, LIST, "webhooks.read"),
            Route("GET", ONE, look, self._read, READ, "webhooks.read"),
            Route("POST", f"{ONE}/redeliver", change, self._again, AGAIN, again),
            Route("POST", f"{HOOK}/redeliver", change, self._all_again, ALL_AGAIN, again),
        )

    async def _list(self, request: web.Request, principal: Principal) -> web.Response:
        query = decode_deliveries.listing(hook(request), request.query, self.webhooks.now())
        return json(encode_deliveries.page(await found(self.webhooks.deliveries(principal, query)), query.limit))

    async def _read(self, request: web.Request, principal: Principal) -> web.Response:
        return json(encode_deliveries.delivery(await found(self.webhooks.delivery(principal, hook(request), _delivery(request)))))

    async def _again(self, request: web.Request, principal: Principal) -> web.Response:
        return json(encode_deliveries.delivery(await found(self.webhooks.redeliver(principal, hook(request), _delivery(request)))), 202)

    async def _all_again(self, request: web.Request, principal: Principal) -> web.Response:
        id, (status, since) = hook(request), decode_deliveries.redelivery(await self.body.json_if_any(request))
        return json(encode_deliveries.redelivered(id, await found(self.webhooks.redeliver_many(principal, id, status, since))), 202)


async def found(asked: Awaitable[T]) -> T:
    """What came of it; another's is said to be missing in the same words."""
    try:
        return await asked
    except NotFound as error:
        raise (decode_deliveries.unknown() if error.code == "DELIVERY_NOT_FOUND" else decode_webhooks.unknown()) from None


def hook(request: web.Request) -> str:
    """Raises NotFound."""
    return decode_webhooks.hook(request[PARTS]["webhookId"])


def json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, headers=JSON)


def _delivery(request: web.Request) -> str:
    return decode_deliveries.delivery(request[PARTS]["deliveryId"])
