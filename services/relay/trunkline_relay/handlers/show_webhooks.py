"""Somebody reads webhooks and what was sent to them, or wants it sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

from trunkline.bus import Raced
from trunkline.contracts.errors import Conflict, Invalid, NotFound
from trunkline.contracts.message import Accepted
from trunkline.contracts.webhook import (
    LONGEST_PAGE,
    MOST_OWN_REDELIVERED,
    MOST_REDELIVERED,
    DeliveryView,
    GetDelivery,
    GetWebhook,
    Hook,
    ListDeliveries,
    ListWebhooks,
    Redeliver,
    Redelivered,
    RedeliverMany,
    WebhookPage,
    WebhookStatus,
)
from trunkline_relay.handlers.change_webhooks import found
from trunkline_relay.model import hook_state, trying
from trunkline_relay.ports import Deliveries, Hooks, Kept

AT_ONCE: Final = 32
TRIES: Final = 5
FURTHEST: Final = 100_000


class ShowWebhooks:
    def __init__(self, hooks: Hooks, deliveries: Deliveries, now: Callable[[], datetime]) -> None:
        self._hooks = hooks
        self._deliveries = deliveries
        self._now = now

    async def get(self, query: GetWebhook) -> Accepted:
        """Raises NotFound, Unavailable."""
        known = await found(self._hooks, query)
        return Accepted(seq=known.seq, body=hook_state.view(known.hook, self._now()).model_dump(mode="json"))

    async def page(self, query: ListWebhooks) -> Accepted:
        """Raises Invalid, Unavailable."""
        _check_limit(query.limit)
        if not 0 <= query.offset <= FURTHEST:
            raise Invalid(f"offset must be 0 to {FURTHEST}", code="BAD_PAGE")
        await self._hooks.settled()
        hooks = [hook for hook in self._hooks.of(query.tenant) if hook_state.asked_for(hook, query)]
        hooks.sort(key=lambda hook: (hook.created_at, hook.id), reverse=True)
        shown = tuple(hook_state.view(hook, self._now()) for hook in hooks[query.offset : query.offset + query.limit])
        return Accepted(seq=0, body=WebhookPage(webhooks=shown, total=len(hooks)).model_dump(mode="json"))

    async def deliveries(self, query: ListDeliveries) -> Accepted:
        """Raises Invalid, NotFound, Unavailable."""
        _check_limit(query.limit)
        known = await found(self._hooks, query)
        page = await self._deliveries.page(query)
        return Accepted(seq=known.seq, body=page.model_dump(mode="json"))

    async def delivery(self, query: GetDelivery) -> Accepted:
        """Raises NotFound, Unavailable."""
        await found(self._hooks, query)
        kept = await self._kept(query.tenant, query.hook_id, query.delivery_id)
        return Accepted(seq=kept.seq, body=kept.delivery.model_dump(mode="json"))

    async def redeliver(self, wish: Redeliver) -> Accepted:
        """Raises Conflict, NotFound, Unavailable."""
        _check_active((await found(self._hooks, wish)).hook)
        for _ in range(TRIES):
            kept = await self._kept(wish.tenant, wish.hook_id, wish.delivery_id)
            again = trying.again(kept.delivery, wish.at)
            if kept.delivery.begun_at >= wish.at:  # a repeat
                return Accepted(seq=kept.seq, body=kept.delivery.model_dump(mode="json"))
            try:
                seq = await self._deliveries.append(again, kept.seq)
            except Raced:
                continue
            return Accepted(seq=seq, body=again.model_dump(mode="json"))
        raise Conflict("this delivery is being tried at this moment; try again", code="DELIVERY_BUSY")

    async def redeliver_many(self, wish: RedeliverMany) -> Accepted:
        """Raises Conflict, NotFound, Unavailable."""
        _check_active((await found(self._hooks, wish)).hook)
        chosen, more = await self._chosen(wish)
        hands = asyncio.Semaphore(AT_ONCE)

        async def send(delivery: DeliveryView) -> bool:
            async with hands:
                return await self._again(delivery, wish)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(send(delivery)) for delivery in chosen]
        count = sum(task.result() for task in tasks)
        return Accepted(seq=0, body=Redelivered(count=count, more=more).model_dump(mode="json"))

    async def _chosen(self, wish: RedeliverMany) -> tuple[list[DeliveryView], bool]:
        """What is to be sent again, and whether there may be more of it."""
        chosen: list[DeliveryView] = []
        most = MOST_REDELIVERED if wish.owner is None else MOST_OWN_REDELIVERED
        query = ListDeliveries(tenant=wish.tenant, at=wish.at, hook_id=wish.hook_id, statuses=wish.statuses, limit=LONGEST_PAGE)
        while True:
            page = await self._deliveries.page(query)
            chosen.extend(one for one in page.deliveries if one.begun_at < wish.at and (wish.since is None or one.created_at >= wish.since))
            if page.next is None or len(chosen) >= most:
                return chosen[:most], page.next is not None or len(chosen) > most
            query = query.model_copy(update={"after": page.next})

    async def _again(self, delivery: DeliveryView, wish: RedeliverMany) -> bool:
        kept = await self._deliveries.load(delivery.tenant, delivery.hook_id, delivery.id)
        if kept is None or kept.delivery.status not in wish.statuses or kept.delivery.begun_at >= wish.at:
            return False
        try:
            await self._deliveries.append(trying.again(kept.delivery, wish.at), kept.seq)
        except Raced:  # it moves by itself
            return False
        return True

    async def _kept(self, tenant: str, hook_id: str, delivery_id: str) -> Kept:
        kept = await self._deliveries.load(tenant, hook_id, delivery_id)
        if kept is None:
            raise NotFound("there is no such delivery; they are kept for eight days", code="DELIVERY_NOT_FOUND")
        return kept


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= LONGEST_PAGE:
        raise Invalid(f"limit must be 1 to {LONGEST_PAGE}", code="BAD_PAGE", limit=limit)


def _check_active(hook: Hook) -> None:
    if hook_state.status(hook) is not WebhookStatus.ACTIVE:
        raise Conflict("this webhook is not active: verify or enable it first", code="WEBHOOK_NOT_ACTIVE")
