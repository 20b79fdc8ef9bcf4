"""A delivery is due: tell the subscriber, keep what it answered, and see to it that it is tried again where that is needed."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from trunkline.bus import Raced, Stored
from trunkline.contracts.webhook import DeliverLater, DeliveryStatus, DeliveryView, Hook, WebhookStatus
from trunkline.runtime.faults import faultpoint
from trunkline_relay.handlers.hook_health import HookHealth
from trunkline_relay.handlers.slots import Slots
from trunkline_relay.model import hook_state, signing, trying, urls
from trunkline_relay.model.trying import Attempt
from trunkline_relay.ports import Deliveries, Hooks, Kept, Subscribers, Timers

log = structlog.get_logger()

TIMER: Final = "webhook"
TARGET: Final = ("relay", "deliver")
AGENT: Final = "Trunkline-Webhooks/1"
OPEN: Final = (DeliveryStatus.PENDING, DeliveryStatus.RETRYING)


class Sender:
    """Signs and sends, and says how the host was."""

    def __init__(self, hooks: Hooks, subscribers: Subscribers, now: Callable[[], datetime]) -> None:
        self._hooks = hooks
        self._subscribers = subscribers
        self.now = now

    async def send(self, hook: Hook, id: str, body: str) -> tuple[Attempt, dict[str, str]]:
        """What came of it, and the headers that may be shown."""
        at = self.now()
        opened = [self._hooks.opened(hook, secret.sealed) for secret in hook_state.signing(hook, at)]
        shown = {"content-type": "application/json", "user-agent": AGENT, "webhook-id": id, "webhook-timestamp": str(int(at.timestamp()))}
        keys = [signing.key_of(secret) for secret in opened if secret is not None]
        if not keys:
            return Attempt(at, 0, None, "its secret cannot be opened: is the vault's key another one now?"), shown
        text = body.encode()
        headers = shown | signing.headers(id, int(at.timestamp()), text, keys)
        return await self._subscribers.post(hook.url, headers, text), shown


class Deliver:
    """Tries deliveries; each try is kept before anything else is done about it."""

    def __init__(self, hooks: Hooks, deliveries: Deliveries, timers: Timers, slots: Slots, sender: Sender) -> None:
        self._hooks = hooks
        self._deliveries = deliveries
        self._timers = timers
        self._slots = slots
        self._sender = sender
        self._health = HookHealth(hooks)

    async def at_once(self, hook: Hook, delivery: DeliveryView) -> bool:
        """Try what lies nowhere yet, and keep what came of it: one record in place of two. False: its host is not quick enough for that,
        and nothing was done. Whoever asks has it still, should we die before it is kept. Raises Unavailable."""
        if hook_state.status(hook) is not WebhookStatus.ACTIVE or not self._slots.quick(urls.host_of(hook.url)):
            return False
        return await self._tried(hook, Kept(delivery, 0))

    async def fresh(self, stored: Stored) -> None:
        """One that is to be tried now. Raises Unavailable."""
        await self._carry(Kept(DeliveryView.model_validate_json(stored.body), stored.seq), 0)

    async def due(self, timer: DeliverLater) -> None:
        """One that was to wait. Raises Unavailable."""
        kept = await self._deliveries.load(timer.tenant, timer.hook_id, timer.delivery_id)
        if kept is None or kept.delivery.status not in OPEN or (kept.delivery.round, kept.delivery.tries) != (timer.round, timer.tries):
            return
        await self._carry(kept, timer.put_off)

    async def _carry(self, kept: Kept, put_off: int) -> None:
        delivery, now = kept.delivery, self._sender.now()
        known = self._hooks.get(delivery.tenant, delivery.hook_id) or await self._hooks.load(delivery.tenant, delivery.hook_id)
        if known is None or known.hook.deleted:
            await self._keep(
                delivery.model_copy(update={"status": DeliveryStatus.CANCELLED, "ended_at": now, "next_try_at": None}), kept.seq
            )
        elif not known.hook.enabled:
            await self._keep(trying.dead(delivery, now, "its webhook is disabled"), kept.seq)
        elif trying.too_old(delivery, now):
            await self._keep(trying.dead(delivery, now, "its host was busy or down for days"), kept.seq)
        else:
            await self._try(known.hook, kept, put_off)

    async def _try(self, hook: Hook, kept: Kept, put_off: int) -> None:
        if hook_state.status(hook) is not WebhookStatus.ACTIVE or not await self._tried(hook, kept):
            await self._put_off(kept.delivery, put_off)

    async def _tried(self, hook: Hook, kept: Kept) -> bool:
        """False when its host has no room."""
        async with self._slots.of(urls.host_of(hook.url)) as slot:
            if slot is None:
                return False
            faultpoint("webhook_sent.before_effect")
            attempt, headers = await self._sender.send(hook, kept.delivery.id, kept.delivery.body)
            faultpoint("webhook_sent.after_effect")
            slot.well = not trying.unwell(attempt)
        tried = trying.after(kept.delivery.model_copy(update={"url": hook.url, "headers": headers}), attempt, random.random())
        await self._keep(tried, kept.seq)
        faultpoint("webhook_sent.after_record")
        await self._health.learn(hook, tried, trying.verdict(attempt))
        return True

    async def _keep(self, delivery: DeliveryView, expect: int) -> None:
        """The timer comes first: one without its record does nothing, a record without its timer would wait for ever."""
        if delivery.next_try_at is not None:
            await self._set(delivery, delivery.next_try_at, 0)
            faultpoint("webhook_sent.before_record")
        try:
            await self._deliveries.append(delivery, expect)
        except Raced:  # another replica tried it too, or somebody wants it sent again: theirs counts
            log.info("webhook.delivery_raced", delivery=delivery.id, webhook=delivery.hook_id)

    async def _put_off(self, delivery: DeliveryView, put_off: int) -> None:
        at = self._sender.now() + timedelta(seconds=trying.put_off_s(put_off, random.random()))
        await self._set(delivery, at, put_off + 1)

    async def _set(self, delivery: DeliveryView, at: datetime, put_off: int) -> None:
        names = {"tenant": delivery.tenant, "hook_id": delivery.hook_id, "delivery_id": delivery.id}
        wake = DeliverLater(**names, round=delivery.round, tries=delivery.tries, put_off=put_off)
        # A name for each try: one that belongs to an earlier round must not stand in the way of this one's.
        await self._timers.set(TIMER, f"{delivery.id}-{delivery.round}-{delivery.tries}", at, TARGET, wake)
