"""A webhook through its life: each change is a new value, and none is made twice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from trunkline.contracts.errors import Conflict
from trunkline.contracts.webhook import (
    ChangeWebhook,
    DisabledBy,
    Hook,
    ListWebhooks,
    RegisterWebhook,
    SealedSecret,
    WebhookStatus,
    WebhookView,
)

ASKS_S: Final = (0.0, 10.0, 60.0, 600.0, 3600.0)
"""Seconds before each asking of an address that did not say that it wants to be told."""
FAILS_FOR: Final = timedelta(days=5)
MOST_OF_TENANT: Final = 100
"""That hear of everything in the tenant."""
MOST_OF_OWNER: Final = 20
"""That hear of one owner's jobs."""
MOST_OWN: Final = 10_000
"""Of all owners of a tenant together: accounts by the hundred fill no disk."""


def registered(wish: RegisterWebhook, sealed: SealedSecret, from_seq: int) -> Hook:
    return Hook(
        id=wish.hook_id,
        tenant=wish.tenant,
        url=wish.url,
        events=wish.events,
        owner=wish.owner,
        surface=wish.surface,
        own_only=wish.own_only,
        description=wish.description,
        secrets=(sealed,),
        verified_url="" if wish.verify else wish.url,
        verified_at=None if wish.verify else wish.at,
        from_seq=from_seq,
        created_at=wish.at,
        updated_at=wish.at,
    )


def same(hook: Hook, wish: RegisterWebhook) -> bool:
    """Whether the wish is the one that made it; what was changed since does not make it another."""
    return (hook.owner, hook.surface, hook.created_at) == (wish.owner, wish.surface, wish.at) or (
        (hook.owner, hook.surface, hook.url, hook.events, hook.own_only) == (wish.owner, wish.surface, wish.url, wish.events, wish.own_only)
    )


def changed(hook: Hook, wish: ChangeWebhook) -> Hook:
    given = {"url": wish.url, "events": wish.events, "description": wish.description}
    changes: dict[str, object] = {key: value for key, value in given.items() if value is not None}
    if wish.url not in (None, hook.url) or wish.enabled:
        changes |= {"asked": 0, "problem": ""}
    if wish.enabled and not hook.enabled:
        changes |= {"enabled": True, "disabled_by": None, "failing_since": None, "verified_url": ""}
    if wish.enabled is False and hook.enabled:
        changes |= {"enabled": False, "disabled_by": DisabledBy.PERSON, "problem": ""}
    if not wish.verify:
        changes |= {"verified_url": wish.url or hook.url, "verified_at": hook.verified_at or wish.at}
    if all(getattr(hook, key) == value for key, value in changes.items()):
        return hook
    return hook.model_copy(update={**changes, "updated_at": wish.at})


def rotated(hook: Hook, rotation_id: str, sealed: SealedSecret, at: datetime, overlap_s: float) -> Hook:
    """Signs with the new secret, and with the one before for a while."""
    before = hook.secrets[0].model_copy(update={"until": at + timedelta(seconds=overlap_s)})
    return hook.model_copy(update={"secrets": (sealed, before), "rotation_id": rotation_id, "updated_at": at})


def asked_again(hook: Hook, at: datetime) -> Hook:
    return hook.model_copy(update={"asked": 0, "verified_url": "", "problem": "", "updated_at": at})


def verified(hook: Hook, url: str, at: datetime) -> Hook:
    return hook.model_copy(update={"verified_url": url, "verified_at": at, "problem": "", "asked": 0, "updated_at": at})


def not_verified(hook: Hook, problem: str, at: datetime) -> Hook:
    return hook.model_copy(update={"asked": hook.asked + 1, "problem": problem, "updated_at": at})


def failing(hook: Hook, since: datetime | None, at: datetime) -> Hook:
    return hook.model_copy(update={"failing_since": since, "updated_at": at})


def disabled(hook: Hook, by: DisabledBy, problem: str, at: datetime) -> Hook:
    return hook.model_copy(update={"enabled": False, "disabled_by": by, "problem": problem, "updated_at": at})


def deleted(hook: Hook, at: datetime) -> Hook:
    """What is left says only that it was there."""
    gone = {"deleted": True, "enabled": False, "secrets": (), "url": "", "verified_url": "", "description": ""}
    return hook.model_copy(update={**gone, "updated_at": at})


def status(hook: Hook) -> WebhookStatus:
    if not hook.enabled:
        return WebhookStatus.DISABLED
    return WebhookStatus.ACTIVE if hook.verified_url == hook.url else WebhookStatus.PENDING


def listens(hook: Hook) -> bool:
    """Whether events are kept for it: those that come while a new address is being verified wait."""
    return hook.enabled and not hook.deleted and hook.verified_at is not None


def overdue(hook: Hook, now: datetime) -> bool:
    return hook.failing_since is not None and now - hook.failing_since > FAILS_FOR


def signing(hook: Hook, now: datetime) -> Sequence[SealedSecret]:
    """The secrets that count, the newest first."""
    return tuple(secret for secret in hook.secrets if secret.until is None or secret.until > now)


def belongs(hook: Hook, owner: str | None) -> bool:
    """Whether whoever asks may have it: an owner what hears of its own jobs and of nothing else, None every one of the tenant."""
    return owner is None or (hook.own_only and hook.owner == owner)


def asked_for(hook: Hook, query: ListWebhooks) -> bool:
    return query.owner in (None, hook.owner) and query.own_only in (None, hook.own_only)


def check_room(others: Sequence[Hook], wish: RegisterWebhook) -> None:
    """Those of a tenant, those that each owner has for its own jobs, and all of the latter together have a bound each.

    None of them uses up another: strangers with jobs of their own live in one tenant with its admins. Raises Conflict.
    """
    alike = [hook for hook in others if hook.own_only == wish.own_only]
    if not wish.own_only and len(alike) >= MOST_OF_TENANT:
        raise _too_many(f"the tenant has {MOST_OF_TENANT} webhooks, and may have no more; remove one first")
    if wish.own_only and sum(hook.owner == wish.owner for hook in alike) >= MOST_OF_OWNER:
        raise _too_many(f"you have {MOST_OF_OWNER} webhooks for your own jobs, and may have no more; remove one first")
    if wish.own_only and len(alike) >= MOST_OWN:
        raise _too_many("there are as many webhooks of people here as there may be; ask an admin to remove some")


def _too_many(why: str) -> Conflict:
    return Conflict(why, code="TOO_MANY_WEBHOOKS")


def view(hook: Hook, now: datetime) -> WebhookView:
    return WebhookView(
        id=hook.id,
        tenant=hook.tenant,
        url=hook.url,
        events=hook.events,
        owner=hook.owner,
        surface=hook.surface,
        own_only=hook.own_only,
        description=hook.description,
        status=status(hook),
        disabled_by=hook.disabled_by,
        problem=hook.problem,
        secrets=len(signing(hook, now)),
        hint=hook.secrets[0].hint if hook.secrets else "",
        signs_with_both_until=next((secret.until for secret in signing(hook, now) if secret.until), None),
        failing_since=hook.failing_since,
        created_at=hook.created_at,
        updated_at=hook.updated_at,
        verified_at=hook.verified_at,
    )
