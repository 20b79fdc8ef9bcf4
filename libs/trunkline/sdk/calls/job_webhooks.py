"""Webhooks that hear of one's own jobs, and all that was sent to them; anybody else's are as missing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypedDict, Unpack

from trunkline.sdk.calls import Call, Page, answer, check, cursors, known, part, words
from trunkline.sdk.credentials import Surface
from trunkline.sdk.models.webhooks import (
    JobDelivery,
    JobDeliveryList,
    JobWebhook,
    JobWebhookList,
    JobWebhookMade,
    RedeliveredMany,
)

ROOT: Final = "/api/pr-agent/webhooks"
PAGE: Final = 100


class JobWebhookChange(TypedDict, total=False):
    """What of a webhook is to be otherwise."""

    url: str
    events: Sequence[str]
    enabled: bool


def create(url: str, events: Sequence[str] | None = None, secret: str | None = None) -> Call[JobWebhookMade]:
    """Make a webhook that hears of one's own jobs: job.completed and job.failed unless others are named. Its secret is told once."""
    body = known(url=url, events=None if events is None else list(events), secret=secret)
    return Call("POST", ROOT, Surface.JOBS, answer(JobWebhookMade), body=body)


def list_() -> Call[tuple[JobWebhook, ...]]:
    """One's own, the newest first; all that there are."""
    return Call("GET", ROOT, Surface.JOBS, lambda raw: JobWebhookList.model_validate_json(raw).webhooks)


def get(webhook_id: str) -> Call[JobWebhook]:
    """One of one's own."""
    return Call("GET", _at(webhook_id), Surface.JOBS, answer(JobWebhook))


def change(webhook_id: str, **changes: Unpack[JobWebhookChange]) -> Call[JobWebhook]:
    """What is not named stays; another address has to answer the handshake first, and so has one that is enabled again."""
    check("change", changes, JobWebhookChange, "webhook_id")
    body = known(**changes) | known(events=list(changes["events"]) if "events" in changes else None)
    return Call("PATCH", _at(webhook_id), Surface.JOBS, answer(JobWebhook), body=body)


def delete(webhook_id: str) -> Call[None]:
    """Remove one of one's own."""
    return Call("DELETE", _at(webhook_id), Surface.JOBS, lambda raw: None)


def rotate(webhook_id: str, secret: str | None = None) -> Call[JobWebhookMade]:
    """Give it a new secret, which is told once; the one before signs beside it for a day."""
    return Call("POST", f"{_at(webhook_id)}/rotate", Surface.JOBS, answer(JobWebhookMade), body=known(secret=secret))


def verify(webhook_id: str) -> Call[JobWebhook]:
    """Ask its address for the handshake again."""
    return Call("POST", f"{_at(webhook_id)}/verify", Surface.JOBS, answer(JobWebhook), body={})


def deliveries(webhook_id: str, *, status: str | None = None, page_size: int = PAGE) -> Call[Page[JobDelivery]]:
    """What was sent, what changed last first. `status` is pending, retrying, delivered, dead or cancelled."""
    return cursors(_deliveries, f"{_at(webhook_id)}/deliveries", words(limit=page_size, status=status), Surface.JOBS)


def delivery(webhook_id: str, delivery_id: str) -> Call[JobDelivery]:
    """One delivery with the whole of its request and answer."""
    return Call("GET", _sent(webhook_id, delivery_id), Surface.JOBS, answer(JobDelivery))


def redeliver(webhook_id: str, delivery_id: str) -> Call[JobDelivery]:
    """Send one again."""
    return Call("POST", f"{_sent(webhook_id, delivery_id)}/redeliver", Surface.JOBS, answer(JobDelivery), body={})


def redeliver_many(webhook_id: str, *, status: str = "dead", since: datetime | None = None) -> Call[RedeliveredMany]:
    """Send again what stands so, made since then: a hundred at a time."""
    body = known(status=status, since=since.isoformat() if since else None)
    return Call("POST", f"{_at(webhook_id)}/redeliver", Surface.JOBS, answer(RedeliveredMany), body=body)


def _at(webhook_id: str) -> str:
    return f"{ROOT}/{part(webhook_id)}"


def _sent(webhook_id: str, delivery_id: str) -> str:
    return f"{_at(webhook_id)}/deliveries/{part(delivery_id)}"


def _deliveries(raw: bytes) -> tuple[tuple[JobDelivery, ...], int | None, str | None]:
    found = JobDeliveryList.model_validate_json(raw)
    return found.deliveries, found.total, found.next_cursor
