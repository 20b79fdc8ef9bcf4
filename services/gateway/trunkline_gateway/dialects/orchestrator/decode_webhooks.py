"""From what an orchestrator client asks of webhooks to what Trunkline understands."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from multidict import MultiMapping
from pydantic import JsonValue

from trunkline.contracts.webhook import DeliveryStatus, ListDeliveries, ListWebhooks
from trunkline_gateway.dialects.orchestrator import reading
from trunkline_gateway.dialects.orchestrator.decode import SURFACE
from trunkline_gateway.dialects.orchestrator.decode_lists import NOBODY
from trunkline_gateway.dialects.orchestrator.schemas_webhooks import (
    DeliveriesQuery,
    RedeliverBody,
    RotateBody,
    WebhookBody,
    WebhookChangeBody,
    WebhooksQuery,
)
from trunkline_gateway.usecases.webhooks import WebhookChange, WebhookWish

Object = Mapping[str, JsonValue]


def wish(sent: Object) -> WebhookWish:
    """Raises Invalid."""
    asked = reading.body(WebhookBody, sent)
    return WebhookWish(
        asked.url, tuple(asked.events), SURFACE, asked.secret or "", verify=asked.verify, description=asked.description or ""
    )


def change(sent: Object) -> WebhookChange:
    """Raises Invalid."""
    asked = reading.body(WebhookChangeBody, sent)
    events = None if asked.events is None else tuple(asked.events)
    return WebhookChange(asked.url, events, asked.enabled, asked.description, asked.verify)


def secret(sent: Object) -> str:
    """No text: one is to be made. Raises Invalid."""
    return reading.body(RotateBody, sent).secret or ""


def webhooks(query: MultiMapping[str], now: datetime) -> tuple[ListWebhooks, str | None]:
    """The list asked for, and the cursor as sent. Raises Invalid."""
    asked = reading.query(WebhooksQuery, query)
    own_only = None if asked.own_only is None else asked.own_only == "true"
    return ListWebhooks(tenant=NOBODY, at=now, own_only=own_only, limit=asked.limit), asked.cursor


def deliveries(hook: str, query: MultiMapping[str], now: datetime) -> tuple[ListDeliveries, str | None]:
    """The list asked for, and the cursor as sent. Raises Invalid."""
    asked = reading.query(DeliveriesQuery, query)
    statuses = (DeliveryStatus(asked.status),) if asked.status else ()
    return ListDeliveries(tenant=NOBODY, at=now, hook_id=hook, statuses=statuses, limit=asked.limit), asked.cursor


def redelivery(sent: Object) -> tuple[DeliveryStatus, datetime | None]:
    """Which are sent again: how they stand, and since when. Raises Invalid."""
    asked = reading.body(RedeliverBody, sent)
    return DeliveryStatus(asked.status), reading.moment("since", asked.since) if asked.since else None
