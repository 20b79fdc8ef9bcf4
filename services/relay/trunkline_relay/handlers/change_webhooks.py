"""Somebody registers, changes or deletes a webhook: each wish is one fenced record, and repeating it changes nothing."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from trunkline.bus import Raced
from trunkline.contracts.errors import Conflict, NotFound, Unavailable
from trunkline.contracts.message import Accepted
from trunkline.contracts.webhook import (
    AboutWebhook,
    ChangeWebhook,
    DeleteWebhook,
    Hook,
    HookFact,
    HookRecord,
    RegisterWebhook,
    RotateSecret,
    SealedSecret,
    VerifyWebhook,
    WebhookMade,
    WebhookStatus,
)
from trunkline_relay.handlers.verify_address import SAFETY_S, ask_at
from trunkline_relay.model import hook_events, hook_state, signing, urls
from trunkline_relay.model.addresses import Reach
from trunkline_relay.ports import Hooks, Known, Names, Timers

TRIES: Final = 5
KEY_BYTES: Final = 32
Make = Callable[[Known | None], HookRecord | None]
"""The next record over what is there; None: nothing is to be changed."""


def unknown(hook_id: str) -> NotFound:
    return NotFound("there is no such webhook", code="WEBHOOK_NOT_FOUND", webhook=hook_id)


async def found(hooks: Hooks, query: AboutWebhook) -> Known:
    """As it is now. Raises NotFound for what is not there, or is not the owner's who asks; Unavailable."""
    return seen(await hooks.load(query.tenant, query.hook_id), query)


def seen(known: Known | None, query: AboutWebhook) -> Known:
    if known is None or known.hook.deleted or not hook_state.belongs(known.hook, query.owner):
        raise unknown(query.hook_id)
    return known


class ChangeWebhooks:
    """What people may do to webhooks."""

    def __init__(self, hooks: Hooks, timers: Timers, reach: Reach, names: Names, last_seq: Callable[[], Awaitable[int]]) -> None:
        self._hooks = hooks
        self._timers = timers
        self._reach = reach
        self._names = names
        self._last_seq = last_seq

    async def register(self, wish: RegisterWebhook) -> Accepted:
        """Raises Invalid, Conflict, Unsupported, Unavailable."""
        await self._check_url(wish.url)
        hook_events.check_events(wish.events)
        sealed = self._sealed(wish.tenant, wish.hook_id, wish.secret)
        await self._check_room(wish)
        from_seq = await self._last_seq()

        def make(known: Known | None) -> HookRecord | None:
            if known is None:
                return HookRecord(fact=HookFact.REGISTERED, at=wish.at, by=wish.owner, hook=hook_state.registered(wish, sealed, from_seq))
            if known.hook.deleted or not hook_state.same(known.hook, wish):
                raise Conflict("there is another webhook by that id", code="WEBHOOK_EXISTS", webhook=wish.hook_id)
            return None

        return self._made(await self._change(wish.tenant, wish.hook_id, make), wish.at)

    async def change(self, wish: ChangeWebhook) -> Accepted:
        """Raises Invalid, NotFound, Unavailable."""
        if wish.url is not None:
            await self._check_url(wish.url)
        if wish.events is not None:
            hook_events.check_events(wish.events)

        def make(known: Known | None) -> HookRecord | None:
            before = seen(known, wish).hook
            after = hook_state.changed(before, wish)
            fact = HookFact.DISABLED if before.enabled and not after.enabled else HookFact.CHANGED
            return None if after is before else HookRecord(fact=fact, at=wish.at, by=wish.by or wish.owner or "", hook=after)

        return self._shown(await self._change(wish.tenant, wish.hook_id, make), wish.at)

    async def rotate(self, wish: RotateSecret) -> Accepted:
        """Raises Invalid, NotFound, Unsupported, Unavailable."""
        sealed = self._sealed(wish.tenant, wish.hook_id, wish.secret)

        def make(known: Known | None) -> HookRecord | None:
            hook = seen(known, wish).hook
            if hook.rotation_id == wish.rotation_id:
                return None
            after = hook_state.rotated(hook, wish.rotation_id, sealed, wish.at, wish.overlap_s)
            return HookRecord(fact=HookFact.ROTATED, at=wish.at, by=wish.by or wish.owner or "", hook=after)

        return self._made(await self._change(wish.tenant, wish.hook_id, make), wish.at)

    async def verify(self, wish: VerifyWebhook) -> Accepted:
        """Raises NotFound, Conflict, Unavailable."""

        def make(known: Known | None) -> HookRecord | None:
            hook = seen(known, wish).hook
            if not hook.enabled:
                raise Conflict("this webhook is disabled; enable it, and it is verified", code="WEBHOOK_DISABLED")
            if hook_state.status(hook) is WebhookStatus.PENDING and hook.asked == 0:
                return None
            return HookRecord(fact=HookFact.CHANGED, at=wish.at, by=wish.by or wish.owner or "", hook=hook_state.asked_again(hook, wish.at))

        return self._shown(await self._change(wish.tenant, wish.hook_id, make), wish.at)

    async def delete(self, wish: DeleteWebhook) -> Accepted:
        """Raises NotFound, Unavailable."""

        def make(known: Known | None) -> HookRecord | None:
            if known and known.hook.deleted and known.hook.updated_at == wish.at:  # a repeat of the wish that did it
                return None
            return HookRecord(
                fact=HookFact.DELETED, at=wish.at, by=wish.by or wish.owner or "", hook=hook_state.deleted(seen(known, wish).hook, wish.at)
            )

        return Accepted(seq=(await self._change(wish.tenant, wish.hook_id, make)).seq)

    async def _change(self, tenant: str, hook_id: str, make: Make) -> Known:
        """Over what is there at that moment; then its address is asked, where that is needed."""
        for _ in range(TRIES):
            known = await self._hooks.load(tenant, hook_id)
            record = make(known)
            if record is None:
                assert known is not None
                await self._ask(known.hook, 0.0)
                return known
            try:
                await self._ask(record.hook, SAFETY_S)
                after = await self._hooks.append(record, known.seq if known else 0, f"{hook_id}:{known.seq if known else 0}:{record.fact}")
            except Raced:
                continue
            await self._ask(record.hook, 0.0)
            return after
        raise Unavailable("this webhook is being changed by many at once; try again in a moment", code="WEBHOOK_BUSY")

    async def _check_url(self, url: str) -> None:
        """Raises Invalid. What a name means later is judged at each connection; this spares people a webhook that could never be told."""
        urls.check_url(url, self._reach)
        if name := urls.plain_name(url):
            urls.check_plain(name, await self._names.addresses(name), self._reach)

    async def _ask(self, hook: Hook, seconds: float) -> None:
        if hook_state.status(hook) is WebhookStatus.PENDING and hook.asked == 0 and not hook.deleted:
            await ask_at(self._timers, hook, hook.updated_at + timedelta(seconds=seconds))

    async def _check_room(self, wish: RegisterWebhook) -> None:
        await self._hooks.settled()
        hook_state.check_room([hook for hook in self._hooks.of(wish.tenant) if hook.id != wish.hook_id], wish)

    def _sealed(self, tenant: str, hook_id: str, secret: str) -> SealedSecret:
        text = secret or signing.written(secrets.token_bytes(KEY_BYTES))
        signing.key_of(text)
        return SealedSecret(sealed=self._hooks.seal(tenant, hook_id, text), hint=signing.hint(text))

    def _made(self, known: Known, at: datetime) -> Accepted:
        secret = self._hooks.opened(known.hook, known.hook.secrets[0].sealed)
        if secret is None:
            raise Unavailable("the secret of this webhook cannot be opened: is the vault's key another one now?", code="SEALED_OTHERWISE")
        made = WebhookMade(webhook=hook_state.view(known.hook, at), secret=secret)
        return Accepted(seq=known.seq, body=made.model_dump(mode="json"))

    def _shown(self, known: Known, at: datetime) -> Accepted:
        return Accepted(seq=known.seq, body=hook_state.view(known.hook, at).model_dump(mode="json"))
