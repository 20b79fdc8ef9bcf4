"""Minutes and money of named sandboxes by tenant and day (UTC), added up by nats-server from the facts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from trunkline.bus import Counters
from trunkline.contracts.ids import TenantId
from trunkline.contracts.sandbox import SandboxUsageView, SandboxUsed, Why
from trunkline_sandbox.handlers.named_book import Book
from trunkline_sandbox.handlers.named_terms import Caps
from trunkline_sandbox.model.named import Phase
from trunkline_sandbox.model.named_cues import Stop

SECONDS: Final = "sandbox_ms"
MONEY: Final = "sandbox_microusd"
LEAST_S: Final = 0.0005
"""What is counted at all: half a millisecond."""
SLACK_S: Final = 1.0
"""Between two looks of a clock at minutes that are about to end."""


class Minutes:
    def __init__(self, book: Book, counters: Counters, now: Callable[[], datetime]) -> None:
        self._book = book
        self._counters = counters
        self._now = now

    async def add(self, tenant: str, at: datetime, used: SandboxUsed, name: str) -> None:
        """Counted once for each `name`, on the days on which it was. Raises Unavailable."""
        for day, seconds in by_day(at, used.seconds):
            await self._counters.add(TenantId(tenant), day, SECONDS, round(seconds * 1000), id=f"{name}-{day}-s")
            if used.cost_usd:
                cost = used.cost_usd * seconds / used.seconds
                await self._counters.add(TenantId(tenant), day, MONEY, round(cost * 1e6), id=f"{name}-{day}-c")

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


def by_day(end: datetime, seconds: float) -> list[tuple[str, float]]:
    """How much of a time that ended at `end` was on which day (UTC), the last day first."""
    days = list[tuple[str, float]]()
    while seconds >= LEAST_S:
        begin = (end - timedelta(microseconds=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        days.append((f"{begin:%Y%m%d}", min(seconds, (end - begin).total_seconds())))
        seconds, end = seconds - days[-1][1], begin
    return days


class MinutesCap:
    """Nobody reserves minutes: what runs is stopped at the moment at which those of its tenant are used up."""

    def __init__(self, book: Book, minutes: Minutes, caps: Caps, now: Callable[[], datetime]) -> None:
        self._book = book
        self._minutes = minutes
        self._caps = caps
        self._now = now

    async def ends_at(self, tenant: str) -> datetime | None:
        """When its minutes are used up if all goes on that runs now; None: never. Raises Unavailable."""
        running = sum(named.counted_until is not None for _, named in self._book.of(tenant))
        if not (self._caps.minutes_day and running):
            return None
        now, cap_s = self._now(), self._caps.minutes_day * 60
        tomorrow = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        today = now + timedelta(seconds=max(SLACK_S, (cap_s - await self._minutes.used_s(tenant)) / running))
        return today if today < tomorrow else tomorrow + timedelta(seconds=cap_s / running)

    async def hold(self, tenant: str) -> None:
        """Stop what runs of a tenant whose minutes are used up. Raises Unavailable."""
        if not self._caps.minutes_day or not self._caps.used_up(await self._minutes.used_s(tenant)):
            return
        for key, named in self._book.of(tenant):
            if named.phase is Phase.READY:
                await self._book.try_receive(key, Stop(at := self._now(), Why.CAP), at, "cap")
