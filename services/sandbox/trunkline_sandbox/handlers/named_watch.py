"""Compares named sandboxes with their providers, at the start and every minute: nothing orphaned, nothing believed that is not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final

import structlog

from trunkline.contracts.errors import DomainError
from trunkline.contracts.ids import SandboxId
from trunkline_sandbox.handlers.named_book import Book, Key
from trunkline_sandbox.handlers.named_carry import Carry
from trunkline_sandbox.handlers.named_host import NAMED, NamedHost, Seen, acts_on, reaches
from trunkline_sandbox.handlers.named_minutes import MinutesCap
from trunkline_sandbox.handlers.named_sites import Sites
from trunkline_sandbox.model.named import Effect, Named, Phase, next_effect
from trunkline_sandbox.model.named_cues import Claim, Count, Lost, Rung
from trunkline_sandbox.model.named_cues import Seen as Look
from trunkline_sandbox.model.named_deciding import SITE_LOST

log = structlog.get_logger()

EVERY: Final = 60.0
AT_ONCE: Final = 8
PATIENCE: Final = 30.0
"""Seconds for which the facts' own handlers have what is to be done in hand."""
OTHERS: Final = 4
"""Times that, for whoever has it in hand to claim it first."""
LISTED_WITHIN: Final = 30.0
MATCHED_WITHIN: Final = 60.0
"""Of one sandbox: a provider that hangs must not keep the pass from those of others, and from sites and caps."""


class Watch:
    def __init__(
        self, book: Book, hosts: Mapping[str, NamedHost], means: tuple[Carry, MinutesCap, Sites], now: Callable[[], datetime]
    ) -> None:
        self._book = book
        self._hosts = hosts
        self._carry, self._cap, self._sites = means
        self._now = now

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.once()
            await asyncio.sleep(EVERY)

    async def once(self, patience: float = PATIENCE) -> None:
        """One pass. What resists is left for the next one."""
        began = self._now()
        for name, host in self._hosts.items():
            await self._spared("named.list_failed", name, self._compare(name, host))
        hands = asyncio.Semaphore(AT_ONCE)

        async def one(key: Key, named: Named) -> None:
            async with hands:
                await self._spared("named.look_failed", key.id, self._tend(key, named, began, patience))

        async with asyncio.TaskGroup() as group:
            for key, named in self._book.all():
                group.create_task(one(key, named))
        await self._spared("named.caps_failed", "", self._hold_caps())
        await self._spared("named.sites_failed", "", self._give_up())

    async def _spared(self, event: str, what: str, work: Awaitable[None]) -> None:
        try:
            await work
        except DomainError as error:
            log.warning(event, what=what, code=error.code, error=error.message)
        except Exception as error:  # one that resists must not keep the others, nor end the service
            log.warning(event, what=what, error=f"{type(error).__name__}: {error}")

    async def _compare(self, name: str, host: NamedHost) -> None:
        async with asyncio.timeout(LISTED_WITHIN):
            began, listed = self._now(), await host.seen()
        by_key: dict[Key, list[Seen]] = {}
        for seen in listed:
            if NAMED in seen.labels and "tenant" in seen.labels:
                by_key.setdefault(Key(seen.labels["tenant"], SandboxId(seen.labels[NAMED])), []).append(seen)
        ours = [(key, named) for key, named in self._book.all() if named.wanted.provider == name and key not in by_key]
        missed = [key for key, named in ours if named.kept and acts_on(host, named)]
        hands = asyncio.Semaphore(AT_ONCE)

        async def one(event: str, key: Key, work: Callable[[], Awaitable[None]]) -> None:
            async with hands:
                await self._spared(event, key.id, _within(work))

        async with asyncio.TaskGroup() as group:
            for key, twins in by_key.items():
                group.create_task(one("named.reap_failed", key, partial(self._match, host, key, twins, began)))
            for key in missed:
                group.create_task(one("named.look_failed", key, partial(self._miss, host, key)))

    async def _match(self, host: NamedHost, key: Key, twins: Sequence[Seen], began: datetime) -> None:
        named = await self._book.look(key)
        if named is None or named.phase is Phase.DELETED or named.wanted.provider != host.name or _never(named):
            await host.remove(key.id)
            log.info("named.reaped", sandbox=key.id, tenant=key.tenant, provider=host.name, why="deleted" if named else "unknown")
            return
        if not reaches(host, named.site):
            return await self._twin(host, key, named.site)
        if host.site and not named.site and named.kept:  # made before there were sites, or its maker could not say
            await self._book.try_receive(key, Claim(host.site), self._now(), "reconcile")
        kept = next((seen for seen in twins if seen.ref == named.ref), min(twins, key=lambda seen: seen.ref))
        for twin in twins:
            if twin is not kept:
                await host.drop(twin)
                log.info("named.twin_dropped", sandbox=key.id, provider=host.name, ref=twin.ref)
        if named.code == SITE_LOST and kept.state == "ready":  # its jobs were ended by others meanwhile, and their programs were not
            await host.rest(key.id)
            kept = replace(kept, state="stopped")
        await self._book.try_receive(key, Look(kept.state, began), self._now(), "reconcile")

    async def _twin(self, host: NamedHost, key: Key, site: str) -> None:
        """Two made it, and the other one was noted; unless nobody is there by that name, for then it may have been this site's own."""
        if site not in self._sites.spoke:
            log.warning("named.kept_elsewhere", sandbox=key.id, provider=host.name, site=site, here=host.site)
            return
        await host.remove(key.id)
        log.info("named.twin_dropped", sandbox=key.id, provider=host.name, ref=host.site)

    async def _miss(self, host: NamedHost, key: Key) -> None:
        """A list may be late; one that is not found by its name either is gone."""
        began, seen = self._now(), await host.look(key.id)
        await self._book.try_receive(key, Look(seen.state if seen else "gone", began), self._now(), "reconcile")

    async def _tend(self, key: Key, named: Named, began: datetime, patience: float) -> None:
        now = self._now()
        if named.next_due and named.next_due <= now:
            await self._book.try_receive(key, Rung(now), now, "clock")
        if named.counted_until and reaches(self._hosts.get(named.wanted.provider), named.site):
            await self._book.try_receive(key, Count(now), now, "count")
        mine = named.site or named.kept or self._carry.in_hand(key)
        if next_effect(named) not in (None, Effect.CLEAN) and (began - named.changed_at).total_seconds() >= patience * (
            1 if mine else OTHERS
        ):
            await self._carry.claim(key)
            await self._carry.drive(key)

    async def _give_up(self) -> None:
        """Those of sites that are silent for too long are in error: nobody says that they stand who cannot know."""
        silent = await self._sites.look(named.site for _, named in self._book.all())
        for key, named in self._book.all():
            if named.site in silent:
                await self._book.try_receive(key, Lost(at := self._now(), silent[named.site]), at, "silence")

    async def _hold_caps(self) -> None:
        """Those of a tenant whose minutes are used up are stopped."""
        for tenant in {key.tenant for key, named in self._book.all() if named.phase is Phase.READY}:
            await self._cap.hold(tenant)


async def _within(work: Callable[[], Awaitable[None]]) -> None:
    async with asyncio.timeout(MATCHED_WITHIN):
        await work()


def _never(named: Named) -> bool:
    return next_effect(named) is Effect.CLEAN
