"""What is wanted of the sandboxes of this site, done here whichever replica was told: their files are nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from trunkline.contracts.errors import DomainError
from trunkline_sandbox.handlers.named_book import Key
from trunkline_sandbox.handlers.named_carry import Carry
from trunkline_sandbox.handlers.named_host import NamedHost, reaches
from trunkline_sandbox.model.named import Named, next_effect

log = structlog.get_logger()

AT_ONCE: Final = 8


class Errands:
    """Heard of at once; what is missed, as while no service of the site is there, is found by the next pass of `named_watch`."""

    def __init__(self, hosts: Mapping[str, NamedHost], carry: Carry) -> None:
        self._hosts = hosts
        self._carry = carry
        self._due: dict[Key, None] = {}
        self._rung = asyncio.Event()

    def heard(self, key: Key, named: Named) -> None:
        """A sandbox came further."""
        if named.site and reaches(self._hosts.get(named.wanted.provider), named.site) and next_effect(named):
            self._due[key] = None
            self._rung.set()

    async def run(self) -> None:
        """For ever."""
        hands = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            while True:
                await self._rung.wait()
                await hands.acquire()
                self._rung.clear()
                if self._due:
                    self._rung.set()
                    key = next(iter(self._due))
                    del self._due[key]
                    group.create_task(self._drive(key)).add_done_callback(lambda _: hands.release())
                else:
                    hands.release()

    async def _drive(self, key: Key) -> None:
        try:
            await self._carry.drive(key)
        except DomainError as error:
            log.info("named.errand_left", sandbox=key.id, error=error.code)  # the next pass drives it
