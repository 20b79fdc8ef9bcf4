"""Minutes and money of named sandboxes by tenant and day (UTC), added up by nats-server from the facts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from trunkline.bus import Counters
from trunkline.contracts.ids import TenantId
from trunkline.contracts.sandbox import SandboxUsageView, SandboxUsed
from trunkline_sandbox.handlers.named_book import Book

SECONDS = "sandbox_ms"
MONEY = "sandbox_microusd"


class Minutes:
    def __init__(self, book: Book, counters: Counters, now: Callable[[], datetime]) -> None:
        self._book = book
        self._counters = counters
        self._now = now

    async def add(self, tenant: str, at: datetime, used: SandboxUsed, name: str) -> None:
        """Counted once for each `name`. Raises Unavailable."""
        day = f"{at:%Y%m%d}"
        await self._counters.add(TenantId(tenant), day, SECONDS, round(used.seconds * 1000), id=f"{name}-s")
        if used.cost_usd:
            await self._counters.add(TenantId(tenant), day, MONEY, round(used.cost_usd * 1e6), id=f"{name}-c")

    async def used_s(self, tenant: str) -> float:
        """Today, with what runs and is not counted yet. Raises Unavailable."""
        now = self._now()
        counted = await self._counters.total(TenantId(tenant), f"{now:%Y%m%d}", SECONDS) / 1000
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        open_ = (named.counted_until for _, named in self._book.of(tenant) if named.counted_until)
        return counted + sum((now - max(since, midnight)).total_seconds() for since in open_)

    async def view(self, tenant: str, day: str) -> SandboxUsageView:
        seconds = await self._counters.total(TenantId(tenant), day, SECONDS)
        money = await self._counters.total(TenantId(tenant), day, MONEY)
        running = sum(named.counted_until is not None for _, named in self._book.of(tenant))
        return SandboxUsageView(day=day, seconds=seconds // 1000, cost_usd=money / 1e6, running=running)
