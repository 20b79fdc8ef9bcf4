"""Expiries kept by nats-server as timers."""

from __future__ import annotations

from datetime import datetime

from trunkline.bus import Timers
from trunkline_approvals.model import ExpireApproval, timer_id


class ExpiryTimers:
    """One timer per approval and moment, so that nobody's repeat with another expiry moves the one that counts."""

    def __init__(self, timers: Timers, service: str) -> None:
        self._timers = timers
        self._service = service

    async def set(self, at: datetime, wake: ExpireApproval) -> None:
        await self._timers.set("approval", timer_id(wake), at, (self._service, wake.type), wake)
