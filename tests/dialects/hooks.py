"""What the relay would answer about webhooks, by its own model, with nothing sealed and nobody told."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from trunkline.contracts.errors import Conflict, DomainError, NotFound
from trunkline.contracts.message import Message
from trunkline.contracts.webhook import (
    AboutWebhook,
    Answered,
    ChangeWebhook,
    DeleteWebhook,
    DeliveryPage,
    DeliveryStatus,
    DeliveryView,
    GetDelivery,
    GetWebhook,
    Hook,
    ListDeliveries,
    ListWebhooks,
    Redeliver,
    Redelivered,
    RedeliverMany,
    RegisterWebhook,
    RotateSecret,
    SealedSecret,
    Try,
    VerifyWebhook,
    WebhookMade,
    WebhookPage,
    WebhookStatus,
)
from trunkline_relay.model import hook_events, hook_state, signing, urls
from trunkline_relay.model.addresses import Reach

HookWish = RegisterWebhook | ListWebhooks | AboutWebhook
MADE = signing.written(b"k" * 32)


@dataclass
class Hooks:
    """Every webhook, its secret beside it, and what was sent to them, the newest first."""

    hooks: dict[str, Hook] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    deliveries: list[DeliveryView] = field(default_factory=list)

    def told(self, wish: HookWish) -> Message | None:
        match wish:
            case RegisterWebhook():
                return self._register(wish)
            case ListWebhooks():
                found = [hook for hook in self._of(wish) if hook_state.asked_for(hook, wish)]
                page = found[wish.offset : wish.offset + wish.limit]
                return WebhookPage(webhooks=tuple(hook_state.view(hook, wish.at) for hook in page), total=len(found))
            case GetDelivery() | Redeliver():
                return self._delivery(wish)
            case ListDeliveries():
                return self._page(wish)
            case RedeliverMany():
                hook = self._listening(wish)
                since = wish.since or datetime.min.replace(tzinfo=wish.at.tzinfo)
                again = [one for one in self._sent(hook) if one.status in wish.statuses and one.created_at >= since]
                return Redelivered(count=len(again))
            case _:
                return self._changed(wish)

    def _register(self, wish: RegisterWebhook) -> WebhookMade:
        urls.check_url(wish.url, Reach())
        hook_events.check_events(wish.events)
        signing.key_of(wish.secret or MADE)
        known = self.hooks.get(wish.hook_id)
        if known is None:
            hook_state.check_room(self._of(wish), wish)
        self.hooks.setdefault(wish.hook_id, hook_state.registered(wish, _sealed(wish.secret), 0))
        self.secrets.setdefault(wish.hook_id, wish.secret or MADE)
        return self._shown(wish.hook_id, wish.at)

    def _changed(self, wish: AboutWebhook) -> Message | None:
        hook = self._found(wish)
        match wish:
            case ChangeWebhook():
                urls.check_url(wish.url or hook.url, Reach())
                hook_events.check_events(wish.events or hook.events)
                self.hooks[hook.id] = hook_state.changed(hook, wish)
            case RotateSecret() if hook.rotation_id != wish.rotation_id:
                signing.key_of(wish.secret or MADE)
                self.hooks[hook.id] = hook_state.rotated(hook, wish.rotation_id, _sealed(wish.secret), wish.at, wish.overlap_s)
                self.secrets[hook.id] = wish.secret or MADE
            case VerifyWebhook():
                if hook_state.status(hook) is WebhookStatus.DISABLED:
                    raise Conflict("it is disabled; enable it first", code="WEBHOOK_DISABLED")
                self.hooks[hook.id] = hook_state.asked_again(hook, wish.at)
            case DeleteWebhook():
                del self.hooks[hook.id]
                return None
            case _:
                assert isinstance(wish, GetWebhook | RotateSecret)
        return self._shown(hook.id, wish.at) if isinstance(wish, RotateSecret) else hook_state.view(self.hooks[hook.id], wish.at)

    def _shown(self, id: str, at: datetime) -> WebhookMade:
        return WebhookMade(webhook=hook_state.view(self.hooks[id], at), secret=self.secrets[id])

    def _of(self, wish: HookWish) -> list[Hook]:
        return [hook for hook in reversed(self.hooks.values()) if hook.tenant == wish.tenant]

    def _found(self, wish: AboutWebhook) -> Hook:
        hook = self.hooks.get(wish.hook_id)
        if hook is None or hook.tenant != wish.tenant or not hook_state.belongs(hook, wish.owner):
            raise _unknown("WEBHOOK_NOT_FOUND")
        return hook

    def _listening(self, wish: AboutWebhook) -> Hook:
        hook = self._found(wish)
        if hook_state.status(hook) is not WebhookStatus.ACTIVE:
            raise Conflict("it hears of nothing just now", code="WEBHOOK_NOT_ACTIVE")
        return hook

    def _sent(self, hook: Hook) -> list[DeliveryView]:
        return [one for one in self.deliveries if one.hook_id == hook.id]

    def _page(self, wish: ListDeliveries) -> DeliveryPage:
        found = [one for one in self._sent(self._found(wish)) if one.status in (wish.statuses or DeliveryStatus)]
        start = int(wish.after or 0)
        more = str(start + wish.limit) if len(found) > start + wish.limit else None
        total = None if wish.statuses else len(found)
        return DeliveryPage(deliveries=tuple(found[start : start + wish.limit]), next=more, total=total)

    def _delivery(self, wish: GetDelivery | Redeliver) -> DeliveryView:
        hook = self._found(wish) if isinstance(wish, GetDelivery) else self._listening(wish)
        found = next((one for one in self._sent(hook) if one.id == wish.delivery_id), None)
        if found is None:
            raise _unknown("DELIVERY_NOT_FOUND")
        again = {"status": DeliveryStatus.PENDING, "tries": 0, "round": found.round + 1}
        return found if isinstance(wish, GetDelivery) else found.model_copy(update=again)


def _sealed(secret: str) -> SealedSecret:
    return SealedSecret(sealed="", hint=signing.hint(secret or MADE))


def _unknown(code: str) -> DomainError:
    return NotFound("there is nothing by that name", code=code)


def answer_handshakes(hooks: Hooks, at: datetime) -> None:
    hooks.hooks = {id: hook_state.verified(hook, hook.url, at) for id, hook in hooks.hooks.items()}


def send_in_vain(hooks: Hooks, at: datetime, **more: object) -> DeliveryView:
    """One delivery to the newest webhook, given up."""
    hook = list(hooks.hooks.values())[-1]
    id = f"dlv_{len(hooks.deliveries):040x}"
    sent = DeliveryView(
        status=DeliveryStatus.DEAD, id=id, hook_id=hook.id, tenant=hook.tenant, type="task.completed", event="k3v9-7",
        task_id="0194589f6d0070008000000000000009", url=hook.url, headers={"webhook-id": id}, body="x" * 3000,
        answer=Answered(status=500, body="not now"), tries=10, history=(Try(at=at, took_ms=12, status=500, error="answered 500"),),
        problem="ten tries failed", created_at=at, begun_at=at, ended_at=at,
    )  # fmt: skip
    hooks.deliveries.insert(0, sent.model_copy(update=more))
    return hooks.deliveries[0]
