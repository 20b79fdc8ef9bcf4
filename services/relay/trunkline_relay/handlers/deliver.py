"""A delivery is due: tell the subscriber, keep what it answered, and see to it that it is tried again where that is needed."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Final, TypeGuard

import structlog

from trunkline.bus import Raced, Stored
from trunkline.contracts.webhook import DeliverLater, DeliveryStatus, DeliveryView, Hook, WebhookStatus
from trunkline.runtime.faults import faultpoint
from trunkline.telemetry.traces import Span, Tracer, child, current
from trunkline.telemetry.w3c import TRACEPARENT
from trunkline_relay.handlers.hook_health import HookHealth
from trunkline_relay.handlers.slots import Slot, Slots
from trunkline_relay.model import hook_state, signing, trying
from trunkline_relay.model.hosts import Key, Turn, Waiting
from trunkline_relay.model.trying import Attempt, Verdict
from trunkline_relay.ports import Deliveries, Hooks, Kept, Subscribers, Timers

log = structlog.get_logger()

TIMER: Final = "webhook"
TARGET: Final = ("relay", "deliver")
AGENT: Final = "Trunkline-Webhooks/1"
OPEN: Final = (DeliveryStatus.PENDING, DeliveryStatus.RETRYING)
UNVERIFIED: Final = "the address of its webhook is not verified yet"


def line_of(hook: Hook) -> Key:
    """What it shares slots and a breaker by."""
    return Key(hook.tenant, hook.id, hook.url)


class Sender:
    """Signs and sends, and says how the host was."""

    def __init__(self, hooks: Hooks, subscribers: Subscribers, now: Callable[[], datetime], tracer: Tracer) -> None:
        self._hooks = hooks
        self._subscribers = subscribers
        self._tracer = tracer
        self.now = now

    def resumed(self, kept: Kept) -> AbstractContextManager[object]:
        """For `with`: what waited here goes on in the trace that it came in."""
        return self._tracer.heard("relay.resume", {TRACEPARENT: kept.trace}, kept.delivery.tenant, "") or nullcontext()

    async def send(self, hook: Hook, id: str, body: str) -> tuple[Attempt, dict[str, str]]:
        """What came of it, and the headers that may be shown."""
        at = self.now()
        opened = [self._hooks.opened(hook, secret.sealed) for secret in hook_state.signing(hook, at)]
        shown = {"content-type": "application/json", "user-agent": AGENT, "webhook-id": id, "webhook-timestamp": str(int(at.timestamp()))}
        keys = [signing.key_of(secret) for secret in opened if secret is not None]
        if not keys:
            return Attempt(at, 0, None, "its secret cannot be opened: is the vault's key another one now?"), shown
        text = body.encode()
        with child("webhook.send") as span:
            if here := current():  # the id alone: what its sender put beside it is nothing to subscribers
                shown[TRACEPARENT] = here.traceparent
            headers = shown | signing.headers(id, int(at.timestamp()), text, keys)
            attempt = await self._subscribers.post(hook.url, headers, text)
            if span:
                _tell(span, attempt)
        return attempt, shown


def _tell(span: Span, attempt: Attempt) -> None:
    if attempt.answer:
        span.note(status=attempt.answer.status)
    if (said := trying.verdict(attempt)) is not Verdict.DELIVERED:
        span.fail(said.name)


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
        if hook_state.status(hook) is not WebhookStatus.ACTIVE or not self._slots.quick(line_of(hook)):
            return False
        return await self._tried(hook, Kept(delivery, 0))

    async def fresh(self, stored: Stored) -> None:
        """One that is to be tried now. Raises Unavailable."""
        await self._carry(Kept(DeliveryView.model_validate_json(stored.body), stored.seq))

    async def due(self, timer: DeliverLater) -> None:
        """One that was to wait. Raises Unavailable."""
        kept = await self._deliveries.load(timer.tenant, timer.hook_id, timer.delivery_id)
        if _still(kept, timer.round, timer.tries):
            await self._carry(kept)

    async def woken(self, turn: Turn, slot: Slot) -> None:
        """One that waited and has room now. Raises Unavailable."""
        try:
            kept = await self._deliveries.load(turn.key.tenant, turn.key.hook_id, turn.waiting.delivery_id)
            if _still(kept, turn.waiting.round, turn.waiting.tries):
                with self._sender.resumed(kept):
                    await self._carry(kept, slot)
        finally:
            self._slots.give_back(slot)

    async def _carry(self, kept: Kept, slot: Slot | None = None) -> None:
        delivery, now = kept.delivery, self._sender.now()
        known = self._hooks.get(delivery.tenant, delivery.hook_id) or await self._hooks.load(delivery.tenant, delivery.hook_id)
        if known is None or known.hook.deleted:
            await self._keep(
                delivery.model_copy(update={"status": DeliveryStatus.CANCELLED, "ended_at": now, "next_try_at": None}), kept.seq
            )
        elif not known.hook.enabled:
            await self._keep(trying.disabled(delivery, now), kept.seq)
        elif hook_state.status(known.hook) is not WebhookStatus.ACTIVE:
            await self._put_off(kept, trying.UNVERIFIED_S, UNVERIFIED)
        elif not await self._tried(known.hook, kept, slot):
            await self._wait(line_of(known.hook), kept)

    async def _tried(self, hook: Hook, kept: Kept, begun: Slot | None = None) -> bool:
        """False when there is no room. `begun` is taken where it is one for this webhook's address."""
        line = line_of(hook)
        begun = begun if begun and begun.key == line else None
        if begun is None and self._slots.behind(line):
            return False
        slot = begun or await self._slots.take(line)
        if slot is None:
            return False
        try:
            faultpoint("webhook_sent.before_effect")
            attempt, headers = await self._sender.send(hook, kept.delivery.id, kept.delivery.body)
            faultpoint("webhook_sent.after_effect")
            slot.sign = trying.sign(attempt)
        finally:
            self._slots.give_back(slot)
        tried = trying.after(kept.delivery, attempt, random.random(), {"url": hook.url, "headers": headers})
        await self._keep(tried, kept.seq)
        faultpoint("webhook_sent.after_record")
        await self._health.learn(hook, tried, trying.verdict(attempt))
        return True

    async def _wait(self, line: Key, kept: Kept) -> None:
        """It is tried as soon as there is room, by us if nothing happens to us."""
        later = await self._put_off(kept, trying.NO_ROOM_S, self._slots.why_not(line))
        if later is not None and later.next_try_at is not None:
            until = self._slots.now() + (later.next_try_at - self._sender.now()).total_seconds()
            self._slots.wait(line, Waiting(later.id, later.round, later.tries, until))

    async def _put_off(self, kept: Kept, first: float, why: str) -> DeliveryView | None:
        """As it waits; None when it waits no more."""
        delivery, now = kept.delivery, self._sender.now()
        if trying.too_old(delivery, now):
            await self._keep(trying.never_tried(delivery, now, why), kept.seq)
            return None
        at = now + timedelta(seconds=trying.put_off_s(delivery.put_off, first, random.random()))
        later = trying.put_off(delivery, at, why)
        return later if await self._keep(later, kept.seq) else None

    async def _keep(self, delivery: DeliveryView, expect: int) -> bool:
        """The timer comes first: one without its record does nothing, a record without its timer would wait for ever."""
        if delivery.next_try_at is not None:
            await self._set(delivery, delivery.next_try_at)
            faultpoint("webhook_sent.before_record")
        try:
            await self._deliveries.append(delivery, expect)
        except Raced:  # another replica tried it too, or somebody wants it sent again: theirs counts
            log.info("webhook.delivery_raced", delivery=delivery.id, webhook=delivery.hook_id)
            return False
        return True

    async def _set(self, delivery: DeliveryView, at: datetime) -> None:
        names = {"tenant": delivery.tenant, "hook_id": delivery.hook_id, "delivery_id": delivery.id}
        wake = DeliverLater(**names, round=delivery.round, tries=delivery.tries, put_off=delivery.put_off)
        # A name for each try: one that belongs to an earlier round must not stand in the way of this one's.
        await self._timers.set(TIMER, f"{delivery.id}-{delivery.round}-{delivery.tries}", at, TARGET, wake)


def _still(kept: Kept | None, round: int, tries: int) -> TypeGuard[Kept]:
    """Whether it waits as it did when that was asked for."""
    return kept is not None and kept.delivery.status in OPEN and (kept.delivery.round, kept.delivery.tries) == (round, tries)
