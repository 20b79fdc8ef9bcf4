"""When a record was stored, by the clock of nats-server."""

from __future__ import annotations

from datetime import UTC, datetime

from trunkline.bus import Stored


def stored_at(stored: Stored) -> datetime:
    """Of one that was read from a page."""
    told = (stored.headers or {}).get("Nats-Time-Stamp", "")
    return datetime.fromisoformat(told).astimezone(UTC)
