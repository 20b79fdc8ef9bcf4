"""Jobs that wait for a site which is given up: taken here, so that each ends and says why, instead of waiting for nobody."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import structlog

from trunkline.contracts.errors import Unavailable
from trunkline.contracts.sandbox import pool_of, site_of
from trunkline_sandbox.handlers.named_sites import Sites

log = structlog.get_logger()

AGAIN_S: Final = 5.0


class Heirs:
    def __init__(self, sites: Sites, take: Callable[[str], Awaitable[None]], pools: Callable[[], Awaitable[Iterable[str]]]) -> None:
        """`take`: carry the work of a pool, for ever. `pools`: those in which anything waits."""
        self._sites = sites
        self._pools = pools
        self._take = take
        self._taking: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """For ever."""
        await self._listen()
        async with asyncio.TaskGroup() as group:
            while True:
                await self._sites.looked.wait()
                self._sites.looked.clear()
                lost = self._sites.given_up.keys()
                for site in lost - self._taking.keys():
                    log.warning("named.site_given_up", site=site)
                    self._taking[site] = group.create_task(self._of(site))
                for site in self._taking.keys() - lost:
                    log.info("named.site_is_back", site=site)
                    self._taking.pop(site).cancel()  # what is in hand is handed back

    async def _listen(self) -> None:
        """To the sites that jobs wait for already: their sandboxes may be deleted, and then nothing else tells of them."""
        while True:
            try:
                self._sites.waited_for.update(site for pool in await self._pools() if (site := site_of(pool)))
                return
            except Unavailable as error:
                log.info("named.jobs_not_seen", error=error.code)
                await asyncio.sleep(AGAIN_S * random.uniform(0.5, 1.5))

    async def _of(self, site: str) -> None:
        while True:
            try:
                await self._take(pool_of(site))
            except Unavailable as error:  # the bus is away: those who wait there wait a moment longer
                log.info("named.site_not_taken", site=site, error=error.code)
                await asyncio.sleep(AGAIN_S * random.uniform(0.5, 1.5))
