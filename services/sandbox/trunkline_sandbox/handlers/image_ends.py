"""Every replica hears how a build ended, and goes on at once with the sandboxes that it left waiting for it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Final

import structlog

from trunkline.bus import Heard, Stored
from trunkline.contracts import subjects
from trunkline.contracts.errors import DomainError
from trunkline.contracts.image import ImageBuilt, ImageFailed, ImageInvalidated, ImageWanted
from trunkline.contracts.message import Fact
from trunkline_sandbox.handlers.named_book import Book, Key
from trunkline_sandbox.handlers.named_carry import Carry
from trunkline_sandbox.model.named import Phase

log = structlog.get_logger()

ALL_IMAGES: Final = subjects.events_of_part(subjects.IMAGE)
ENDS: Final = (ImageBuilt, ImageFailed, ImageInvalidated)
AT_ONCE: Final = 8
Here = Callable[[Callable[[], None]], Coroutine[None, None, None]]


class ImageEnds:
    """`start` it, and let `run` run. One that is still being made when its build ends is looked at again after that."""

    def __init__(self, heard: Heard, book: Book, carry: Carry, orphaned_s: float, here: tuple[Here, set[str]]) -> None:
        """`here`: what is built at this site alone, for ever, and calls when one of these builds ends; and where the ids are noted of
        all that count."""
        self._heard = heard
        self._here, self._standing = here
        self._book = book
        self._carry = carry
        self._orphaned_s = orphaned_s
        self._hands = asyncio.Semaphore(AT_ONCE)

    async def start(self) -> None:
        """What ended before is not heard again. Raises Unavailable."""
        async for stored in await self._heard.start():
            self._note(stored)

    async def run(self) -> None:
        """For ever. Whoever waited for an end that came while no replica was there is an orphan too."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._adopt())
            group.create_task(self._here(partial(self._waiters, group)))
            async for stored in self._heard.records():
                self._note(stored)
                if ends(stored):
                    self._go_on(group)

    def _note(self, stored: Stored) -> None:
        id = subjects.parse_event(stored.subject).task
        for fact in _facts(stored):
            if isinstance(fact, ImageWanted):
                self._standing.add(id)
            elif isinstance(fact, ImageInvalidated):
                self._standing.discard(id)

    def _go_on(self, group: asyncio.TaskGroup) -> None:
        self._waiters(group)
        group.create_task(self._adopt())

    def _waiters(self, group: asyncio.TaskGroup) -> None:
        for key in tuple(self._carry.waiting):
            group.create_task(self._drive(key))

    async def _adopt(self) -> None:
        """Go on with those whose replica is gone. Each that is there goes on with its own: twice made is dear, so it is given time."""
        await asyncio.sleep(self._orphaned_s * random.uniform(1.0, 1.5))
        making = [key for key, named in self._book.all() if named.phase is Phase.MAKING]
        async with asyncio.TaskGroup() as group:
            for key in making:
                if not self._carry.in_hand(key):
                    group.create_task(self._drive(key))

    async def _drive(self, key: Key) -> None:
        async with self._hands:
            try:
                await self._carry.claim(key)
                await self._carry.drive(key)
            except DomainError as error:
                log.info("image.waiter_left", sandbox=key.id, error=error.code)  # the next pass of `named_watch` drives it


def ends(stored: Stored) -> bool:
    """Whether a build ended by it; a record that nobody can read ends none."""
    return any(isinstance(fact, ENDS) for fact in _facts(stored))


def _facts(stored: Stored) -> tuple[Fact, ...]:
    try:
        return tuple(stored.record.facts)
    except ValueError as error:
        log.error("image.unreadable", subject=stored.subject, seq=stored.seq, error=str(error)[:200])
        return ()
