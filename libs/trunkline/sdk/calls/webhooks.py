"""Webhooks of the tenant, and all that was sent to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypedDict, Unpack

from trunkline.sdk.calls import Call, Page, answer, check, cursors, known, part, words
from trunkline.sdk.credentials import Surface
from trunkline.sdk.models.webhooks import (
    Delivery,
    DeliveryAnswer,
    DeliveryList,
    RedeliveredMany,
    Webhook,
    WebhookAnswer,
    WebhookList,
    WebhookMade,
)

ROOT: Final = "/webhooks"
PAGE: Final = 100


class WebhookOptions(TypedDict, total=False):
    """How a webhook is made. Without a `secret` one is made; without `verify` an admin has its address believed."""

    secret: str
    description: str
    verify: bool


class WebhookChange(TypedDict, total=False):
    """What of a webhook is to be otherwise."""

    url: str
    events: Sequence[str]
    enabled: bool
    description: str
    verify: bool


def create(url: str, events: Sequence[str], **options: Unpack[WebhookOptions]) -> Call[WebhookMade]:
    """Make one that hears of all in the tenant that fits: job.completed, approval.requested, task.*, `*`. Its secret is told once."""
    check("create", options, WebhookOptions, "url", "events")
    return Call("POST", ROOT, Surface.TASKS, answer(WebhookMade), body=known(url=url, events=list(events), **options))


def list_(*, page_size: int = PAGE) -> Call[Page[Webhook]]:
    """The newest first."""
    return cursors(_webhooks, ROOT, words(limit=page_size))


def get(webhook_id: str) -> Call[Webhook]:
    return Call("GET", f"{ROOT}/{part(webhook_id)}", Surface.TASKS, _webhook)


def change(webhook_id: str, **changes: Unpack[WebhookChange]) -> Call[Webhook]:
    """What is not named stays; another address has to answer the handshake first."""
    check("change", changes, WebhookChange, "webhook_id")
    body = known(**changes) | known(events=list(changes["events"]) if "events" in changes else None)
    return Call("PATCH", f"{ROOT}/{part(webhook_id)}", Surface.TASKS, _webhook, body=body)


def delete(webhook_id: str) -> Call[None]:
    return Call("DELETE", f"{ROOT}/{part(webhook_id)}", Surface.TASKS, _nothing)


def rotate(webhook_id: str, secret: str | None = None) -> Call[WebhookMade]:
    """Give it a new secret, which is told once; the one before signs beside it for a day."""
    return Call("POST", f"{ROOT}/{part(webhook_id)}/rotate", Surface.TASKS, answer(WebhookMade), body=known(secret=secret))


def verify(webhook_id: str) -> Call[Webhook]:
    """Ask its address for the handshake again."""
    return Call("POST", f"{ROOT}/{part(webhook_id)}/verify", Surface.TASKS, _webhook, body={})


def deliveries(webhook_id: str, *, status: str | None = None, page_size: int = PAGE) -> Call[Page[Delivery]]:
    """What was sent, what changed last first. `status` is pending, retrying, delivered, dead or cancelled."""
    return cursors(_deliveries, f"{ROOT}/{part(webhook_id)}/deliveries", words(limit=page_size, status=status))


def delivery(webhook_id: str, delivery_id: str) -> Call[Delivery]:
    """One delivery with the whole of its request and answer."""
    return Call("GET", f"{ROOT}/{part(webhook_id)}/deliveries/{part(delivery_id)}", Surface.TASKS, _delivery)


def redeliver(webhook_id: str, delivery_id: str) -> Call[Delivery]:
    """Send one again."""
    return Call("POST", f"{ROOT}/{part(webhook_id)}/deliveries/{part(delivery_id)}/redeliver", Surface.TASKS, _delivery, body={})


def redeliver_many(webhook_id: str, *, status: str = "dead", since: datetime | None = None) -> Call[RedeliveredMany]:
    """Send again what stands so, made since then."""
    body = known(status=status, since=since.isoformat() if since else None)
    return Call("POST", f"{ROOT}/{part(webhook_id)}/redeliver", Surface.TASKS, answer(RedeliveredMany), body=body)


def _webhook(raw: bytes) -> Webhook:
    return WebhookAnswer.model_validate_json(raw).webhook


def _delivery(raw: bytes) -> Delivery:
    return DeliveryAnswer.model_validate_json(raw).delivery


def _webhooks(raw: bytes) -> tuple[tuple[Webhook, ...], int | None, str | None]:
    found = WebhookList.model_validate_json(raw)
    return found.webhooks, found.total, found.next_cursor


def _deliveries(raw: bytes) -> tuple[tuple[Delivery, ...], int | None, str | None]:
    found = DeliveryList.model_validate_json(raw)
    return found.deliveries, None, found.next_cursor


def _nothing(raw: bytes) -> None:
    return None
