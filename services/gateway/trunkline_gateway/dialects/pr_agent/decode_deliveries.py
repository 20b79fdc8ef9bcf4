"""From what a pr_agent client asks of deliveries to its webhooks to what Trunkline understands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from multidict import MultiMapping
from pydantic import JsonValue

from trunkline.contracts.errors import Invalid, NotFound
from trunkline.contracts.webhook import DeliveryStatus, ListDeliveries
from trunkline_gateway.dialects.pr_agent.decode import once
from trunkline_gateway.dialects.pr_agent.decode_webhooks import read
from trunkline_gateway.dialects.pr_agent.schemas_deliveries import DeliveriesQuery, Redelivery
from trunkline_gateway.usecases.own_jobs import NOBODY

_DELIVERY: Final = re.compile(r"dlv_[0-9a-f]{40}")


def delivery(text: str) -> str:
    """Raises NotFound: no delivery can have another name."""
    if not _DELIVERY.fullmatch(text):
        raise unknown()
    return text


def unknown() -> NotFound:
    return NotFound("there is no such delivery; they are kept for eight days", code="DELIVERY_NOT_FOUND")


def listing(hook: str, query: MultiMapping[str], now: datetime) -> ListDeliveries:
    """Raises Invalid."""
    asked = read(DeliveriesQuery, once(query, DeliveriesQuery.model_fields))
    statuses = (DeliveryStatus(asked.status),) if asked.status else ()
    return ListDeliveries(tenant=NOBODY, at=now, hook_id=hook, statuses=statuses, limit=asked.limit, after=asked.cursor)


def redelivery(body: Mapping[str, JsonValue]) -> tuple[DeliveryStatus, datetime | None]:
    """Which are sent again: how they stand, and since when. Raises Invalid."""
    asked = read(Redelivery, body)
    return DeliveryStatus(asked.status), None if asked.since is None else _moment(asked.since)


def _moment(text: str) -> datetime:
    """An ISO time; one without a zone is UTC."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid("since must be an ISO time such as 2025-10-22T06:00:00Z", code="INVALID_REQUEST", field="since") from None
